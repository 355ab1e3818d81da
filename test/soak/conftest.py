# SPDX-License-Identifier: BSD-2-Clause
"""Where the soak's modules find each other, and those of test/e2e."""
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'e2e')]
