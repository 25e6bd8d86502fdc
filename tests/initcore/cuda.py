"""What torch's CUDA generator draws, without a GPU: the arithmetic of curand, on bits of numpy's.

An H200's draws have these lattices, and their pairs lie so.
"""

import math

import numpy as np
import torch


def _chances(count, seed):
    """What curand makes of 32 random bits: a float32 of (0, 1] with all its digits."""
    bits = np.random.default_rng(seed).integers(2**32, size=count, dtype=np.uint32)
    return bits.astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)


def cuda_uniform(shape, low, high, seed=0):
    """As torch's uniform_ on CUDA: a product and a sum that are rounded once."""
    chances = _chances(math.prod(shape), seed).astype(float)
    low, high = np.float32(low), np.float32(high)
    values = chances * float(high - low) + float(low)
    return torch.from_numpy(values.astype(np.float32).reshape(shape))


def cuda_normal(shape, std, threads, seed=0):
    """As torch's normal_ on CUDA: a thread's two pairs lie as many places apart as there are."""
    count = math.prod(shape)
    threads = min(threads, -(-count // 256) * 256)
    rounds = -(-count // (4 * threads))
    chances, turns = (_chances((rounds, 2, threads), 2 * seed + i) for i in range(2))
    radius = np.sqrt(-2 * np.log(chances))
    angle = turns.astype(float) * 2 * np.pi
    # The fast sine is off by 2⁻²¹·⁴ at most.
    off = np.random.default_rng(seed).uniform(-(2**-21.4), 2**-21.4, (2, *angle.shape))
    pairs = radius * (np.stack([np.sin(angle), np.cos(angle)]) + off).astype(np.float32)
    values = pairs.transpose(1, 2, 0, 3).ravel()[:count] * np.float32(std)
    return torch.from_numpy(values.reshape(shape))
