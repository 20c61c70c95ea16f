"""One process of the official package: load a network of the embedded voice's size, speak two seconds, say so. For startup.py.

python benchmarks/start_official.py FOLDER --make     # write random weights
python benchmarks/start_official.py FOLDER            # load them, sample, vocode
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "parity"))
from official import import_official

from ishowtts.train import dit, vocos

SYMBOLS, FRAMES, PROMPT, STEPS = 256, 282, 94, 7  # 3 s, of which 1 s is the reference


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--make", action="store_true")
    args = parser.parse_args()
    torch.set_grad_enabled(False)
    official = import_official()
    size, voice = dit.architecture(), vocos.architecture()
    network = official.DiT(
        dim=size.dim, depth=size.depth, heads=size.heads, ff_mult=size.ff_mult, mel_dim=100, text_num_embeds=SYMBOLS,
        text_dim=size.text_dim, conv_layers=size.conv_layers,
    )  # fmt: skip
    model = official.CFM(transformer=network, mel_spec_kwargs={"mel_spec_type": "vocos"}).eval()
    backbone = official.VocosBackbone(100, voice.dim, voice.intermediate_dim, voice.num_layers).eval()
    head = official.ISTFTHead(voice.dim, 1024, 256, "center").eval()
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
