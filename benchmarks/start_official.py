"""For startup.py: a process of the official package that loads a network of the embedded voice's size and speaks.

python benchmarks/start_official.py FOLDER --make     # write random weights
python benchmarks/start_official.py FOLDER            # load them, sample, vocode
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "parity"))
from official import flow_network, import_official, vocoder

import ishowtts
from ishowtts.model.config import ModelConfig

SYMBOLS, FRAMES, PROMPT, STEPS = 256, 282, 94, 7  # 3 s, of which 1 s is the reference


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    official = import_official()
    config = ModelConfig.load(Path(ishowtts.__file__).parent / "voices" / "demo" / "model.json")
    network = flow_network(official, dataclasses.replace(config.dit, text_num_embeds=SYMBOLS))
    model = official.CFM(transformer=network, mel_spec_kwargs={"mel_spec_type": "vocos"}).eval()
    backbone, head = vocoder(official, config.vocos, config.mel)
    parts = {"dit": network, "backbone": backbone, "head": head}
    if args.make:
        for name, part in parts.items():
            save_file({k: v.contiguous() for k, v in part.state_dict().items()}, args.folder / f"{name}.safetensors")
        return
    for name, part in parts.items():
        part.load_state_dict(load_file(args.folder / f"{name}.safetensors"))
    mel, _ = model.sample(
        cond=torch.randn(1, PROMPT, 100), text=torch.randint(0, SYMBOLS - 1, (1, 50)), duration=FRAMES, steps=STEPS,
        cfg_strength=2.0, sway_sampling_coef=-1.0, seed=0,
    )  # fmt: skip
    audio = head(backbone(mel[:, PROMPT:].transpose(1, 2)))
    print(f"spoken {audio.shape[-1]}", flush=True)


if __name__ == "__main__":
    main()
