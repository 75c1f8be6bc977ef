"""The counts that speeds are divided by, by hand."""

import torch

from benchmarks.work import convolved_frames, seen, training_flops


def test_multiply_adds_of_the_shortest_utterance():
    # 49 frames leave 22, 20 -> 10, 8 -> 4, 2 -> 1 steps; 128 bands 61, 59 -> 29, 27 -> 13, 11 -> 5
    first = 22 * 61 * 48 * 49
    others = 20 * 59 * 64 * 48 * 9 + 8 * 27 * 80 * 64 * 9 + 2 * 11 * 96 * 80 * 9 + 2 * 384 * (480 + 128)
    assert training_flops(49, 128) == 2 * (2 * first + 3 * others)


def test_padding_is_to_the_longest_of_four():
    # 3 and 1 steps are made 4 and 2: 49 + 3 x 16 and 49 + 16 frames
    lengths = torch.tensor([90, 60, 50, 50, 49])
    assert convolved_frames(lengths) == 4 * 97 + 65
    assert seen(lengths) == 81 + 4 * 49
