"""Writes ../drums.zip of the samples of Sonic Pi as the npm package supersonic-scsynth-samples 0.84.2 has them (CC0 1.0):

    npm pack supersonic-scsynth-samples@0.84.2 && tar xzf supersonic-scsynth-samples-0.84.2.tgz
    python make.py package/samples

Needs soundfile, torch and torchaudio. Of each sample it keeps the first half second: one channel, 22,050 samples a second, 16 bits.
"""
import io
import pathlib
import re
import sys
import zipfile

import soundfile
import torch
import torchaudio

RATE, SECONDS = 22050, 0.5
CLASSES = {
    "kick": r"bd_.*|drum_bass_.*|drum_heavy_kick|elec_(hollow|soft)_kick",
    "snare": r"sn_.*|drum_snare_.*|elec_.*_?snare",
    "hat": r"hat_.*",
    "cymbal": r"drum_(cymbal|splash)_.*|elec_cymbal|ride_via",
    "tom": r"drum_tom_.*|elec_fuzz_tom",
    "tabla": r"tabla_.*",
}

with zipfile.ZipFile(pathlib.Path(__file__).parent.parent / "drums.zip", "w", zipfile.ZIP_STORED) as out:
    for label, names in CLASSES.items():
        for path in sorted(pathlib.Path(sys.argv[1]).glob("*.flac")):
            if not re.fullmatch(names, path.stem):
                continue
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            clip = torchaudio.functional.resample(torch.tensor(samples.mean(1)), rate, RATE)[: int(RATE * SECONDS)]
            file = io.BytesIO()
            soundfile.write(file, clip.clamp(-1, 1).numpy(), RATE, format="FLAC", subtype="PCM_16")
            out.writestr(zipfile.ZipInfo(f"{label}/{path.stem}.flac", (2020, 1, 1, 0, 0, 0)), file.getvalue())
