"""Papers, a room each: what they published, and the chapter that they add to the report of a study of their kind.

A room has a function `chapter(material)`, from a study's `report.material.Material` to a `report.chapter.Chapter`, or
None where the study is not of the paper's kind. A study names its paper by `study.paper`.
"""
