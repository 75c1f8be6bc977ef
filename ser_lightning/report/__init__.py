"""Figures, tables and text from run folders alone: needs neither torch nor Lightning."""
