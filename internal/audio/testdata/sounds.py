"""Makes sounds.json and the small sound files beside it: python sounds.py

Needs torch, torchaudio, librosa, soundfile (libsndfile) and lameenc. One clip in all formats, with the samples that
libsndfile reads, and what torchaudio and librosa make of it.
"""
import json
import pathlib

import lameenc
import librosa
import numpy as np
import soundfile
import torch
import torchaudio

here = pathlib.Path(__file__).parent
rate, length = 8000, 3001
rng = np.random.default_rng(7)
t = np.arange(length) / rate
clip = 0.4 * np.sin(2 * np.pi * (300 + 900 * t) * t) + 0.2 * np.sin(2 * np.pi * 2500 * t) + 0.05 * rng.standard_normal(length)
clip = np.clip(clip * np.linspace(1, 0.2, length), -0.99, 0.99)
stereo = np.stack([clip, np.roll(clip, 40) * 0.5], 1)

formats = {
    "pcm8.wav": ("WAV", "PCM_U8"), "pcm16.wav": ("WAV", "PCM_16"), "pcm24.wav": ("WAV", "PCM_24"), "pcm32.wav": ("WAV", "PCM_32"),
    "float.wav": ("WAV", "FLOAT"), "double.wav": ("WAV", "DOUBLE"), "alaw.wav": ("WAV", "ALAW"), "mulaw.wav": ("WAV", "ULAW"),
    "extensible.wav": ("WAVEX", "PCM_16"), "rf64.wav": ("RF64", "PCM_16"), "pcm16.flac": ("FLAC", "PCM_16"), "pcm24.flac": ("FLAC", "PCM_24"),
    "vorbis.ogg": ("OGG", "VORBIS"),
}
short = stereo[:300]
files = {}
for name, (container, code) in formats.items():
    soundfile.write(here / name, short, rate, format=container, subtype=code)
    if container != "OGG":
        read, _ = soundfile.read(here / name, dtype="float64")
        files[name] = [float(x) for x in read.mean(1)]
encoder = lameenc.Encoder()
encoder.set_bit_rate(64), encoder.set_in_sample_rate(2 * rate), encoder.set_channels(1), encoder.set_quality(2)
(here / "tone.mp3").write_bytes(encoder.encode((clip * 32767).astype(np.int16).tobytes()) + encoder.flush())

x = torch.tensor(clip, dtype=torch.float32)
out = {"rate": rate, "clip": x.tolist(), "files": files, "resampled": {}, "spectra": []}
for to in (16000, 11025, 4000, 7993):
    out["resampled"][str(to)] = torchaudio.functional.resample(x, rate, to).tolist()[:600]

for window, hop, fft, mels, low, high in ((200, 80, 256, 20, 0, 4000), (256, 100, 256, 13, 50, 3800), (400, 160, 400, 40, 20, 4000)):
    torch_mel = torchaudio.transforms.MelSpectrogram(rate, n_fft=fft, win_length=window, hop_length=hop, f_min=low, f_max=high, n_mels=mels)(x)
    torch_db = torchaudio.transforms.AmplitudeToDB("power", 80)(torch_mel)
    mfcc = torchaudio.transforms.MFCC(rate, n_mfcc=12, melkwargs=dict(n_fft=fft, win_length=window, hop_length=hop, f_min=low, f_max=high, n_mels=mels))(x)
    mel = librosa.feature.melspectrogram(y=clip.astype(np.float32), sr=rate, n_fft=fft, win_length=window, hop_length=hop, fmin=low, fmax=high, n_mels=mels)
    db = librosa.power_to_db(mel)
    lib_mfcc = librosa.feature.mfcc(S=db, n_mfcc=12)
    flat = lambda a: [float(f"{v:.8g}") for v in np.asarray(a, np.float32).T.reshape(-1)]
    out["spectra"].append({
        "window": window, "hop": hop, "fft": fft, "mels": mels, "low": low, "high": high,
        "torchaudio": {"mel": flat(torch_mel), "decibels": flat(torch_db), "mfcc": flat(mfcc)},
        "librosa": {"mel": flat(mel), "decibels": flat(db), "mfcc": flat(lib_mfcc)},
    })
(here / "sounds.json").write_text(json.dumps(out, separators=(",", ":")))
