"""Models as packages of others ship them (`shipped.txt`): `trained()` and `computed()` give (name, file, inputs by name) of
those with weights that were learned and of those with filters that were computed, `unsupported()` gives (name, file, words
of the refusal).

Images show a word, so that the networks find something in them; sounds are noise.
"""

import pathlib
import sys

import numpy as np

PACKAGES = pathlib.Path(sys.prefix) / "shipped"
TEXTS = PACKAGES / "rapidocr_onnxruntime/models"
VOICES = PACKAGES / "silero_vad/data"
SOUNDS = PACKAGES / "onnx_asr/preprocessors/data"

# The letters of the word, in pixels.
LETTERS = {
    "H": ["#...#", "#...#", "#...#", "#####", "#...#", "#...#", "#...#"],
    "E": ["#####", "#....", "#....", "####.", "#....", "#....", "#####"],
    "L": ["#....", "#....", "#....", "#....", "#....", "#....", "#####"],
    "O": [".###.", "#...#", "#...#", "#...#", "#...#", "#...#", ".###."],
}
# Samples of a sound in a second, and those that a detector of voices hears at once.
RATE, WINDOW = 16000, 576


def trained():
    random = np.random.default_rng(11)
    bytes_ = random.integers(0, 257, (2, 2048)).astype(np.int32)
    yield "magika", (PACKAGES / "magika/models/standard_v3_3/model.onnx").read_bytes(), {"bytes": bytes_}
    for name, file, shape in [
        ("text_detection", "ch_PP-OCRv4_det_infer", (1, 3, 64, 96)),
        ("text_recognition", "ch_PP-OCRv4_rec_infer", (1, 3, 48, 80)),
        ("text_direction", "ch_ppocr_mobile_v2.0_cls_infer", (2, 3, 48, 192)),
    ]:
        yield name, (TEXTS / f"{file}.onnx").read_bytes(), {"x": image(random, shape)}
    heard = {"input": sound(random, 5, WINDOW), "h": sound(random, 1, 1, 128), "c": sound(random, 1, 1, 128)}
    yield "voices", (VOICES / "silero_vad_16k_sequence.onnx").read_bytes(), heard


def computed():
    """Windows, Fourier transforms and filters of sounds, two of unlike lengths at once."""
    random = np.random.default_rng(13)
    for name in ["gigaam_v2_conv", "gigaam_v3_conv", "nemo80_conv", "nemo128_conv", "whisper80_conv",
                 "resample_11_16", "resample_44_16", "resample_48_16"]:
        heard = {"waveforms": sound(random, 2, RATE // 4), "waveforms_lens": np.array([RATE // 4, RATE // 5])}
        yield name, (SOUNDS / f"{name}.onnx").read_bytes(), heard


def unsupported():
    """What the built-in backend does not run: each with the operator at which it gives up."""
    for name, file, words in [
        ("voice_16k", VOICES / "silero_vad_16k_op15.onnx", ["/model/decoder/If", "If"]),
        ("voice_any", VOICES / "silero_vad.onnx", ["If_0", "If"]),
        ("voice_half", VOICES / "silero_vad_half.onnx", ["/decoder/If", "If"]),
        ("voice_ifless", VOICES / "silero_vad_op18_ifless.onnx", ["node_pad", "Pad"]),
        ("gigaam_v2", SOUNDS / "gigaam_v2.onnx", ["Pad"]),
        ("gigaam_v3", SOUNDS / "gigaam_v3.onnx", ["STFT"]),
        ("kaldi", SOUNDS / "kaldi.onnx", ["Reduce"]),
        ("nemo80", SOUNDS / "nemo80.onnx", ["Unsqueeze"]),
        ("wespeaker", SOUNDS / "wespeaker.onnx", ["Slice"]),
        ("whisper80", SOUNDS / "whisper80.onnx", ["STFT"]),
    ]:
        yield name, file.read_bytes(), words


def image(random, shape):
    """A dark word on a light, slightly noisy ground, between -1 and 1 as these networks take their pixels."""
    rows = [".".join(LETTERS[letter][row] for letter in "HELLO") for row in range(7)]
    word = np.kron([[pixel == "#" for pixel in row] for row in rows], np.ones((2, 2), bool)).astype(bool)
    top, left = [(outer - inner) // 2 for outer, inner in zip(shape[-2:], word.shape)]
    pixels = np.ones(shape, np.float32)
    pixels[..., top : top + word.shape[0], left : left + word.shape[1]][..., word] = -1
    return pixels + random.normal(0, 0.02, shape).astype(np.float32)


def sound(random, *shape):
    return (random.standard_normal(shape) / 8).astype(np.float32)
