"""As sweep.py, for models of Lightning, timm and transformers, which CI does not install.

    python sweep_libraries.py --depickle BINARY --describe EXAMPLE [--group NAME…] [--every N]

Configurations are small and weights random. Last run on 2026-11-26 with torch 2.15.0, lightning 2.6.6,
timm 1.0.31, transformers 5.24.0: names, order, checksums and text as PyTorch says of

- lightning: 8 of 9; a torchmetrics metric adds to its state_dict() by code,
- timm: 29 of 29, every 12th architecture,
- transformers: 110 of 111 (I-BERT's QuantAct prints itself by code); 5 cannot be saved or made.
"""

import argparse
import fnmatch
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "fixtures")]
warnings.filterwarnings("ignore")

import sweep  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402


def lightning_cases():
    import lightning as L
    from lightning.pytorch.demos import boring_classes

    class Net(L.LightningModule):
        def __init__(self, width=4, rate=0.1):
            super().__init__()
            self.save_hyperparameters()
            self.body = nn.Sequential(nn.Linear(3, width), nn.ReLU(), nn.Dropout(rate))
            self.head = nn.Linear(width, 2)
            self.loss = nn.CrossEntropyLoss(weight=torch.ones(2))
            self.example_input_array = torch.zeros(1, 3)
            self.register_buffer("seen", torch.zeros((), dtype=torch.long), persistent=False)

        def forward(self, x):
            return self.head(self.body(x))

        def training_step(self, batch, index):
            return self.loss(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    class WithMetric(Net):
        def __init__(self):
            super().__init__()
            import torchmetrics

            self.accuracy = torchmetrics.Accuracy("multiclass", num_classes=2)
            self.kept = torchmetrics.MeanMetric()
            self.kept.persistent(True)
            self.both = torchmetrics.MetricCollection([torchmetrics.MeanSquaredError(), torchmetrics.R2Score()])

    class Manual(Net):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False
            self.critic = nn.ModuleDict({"a": nn.Linear(2, 1), "b": nn.ModuleList([nn.Tanh(), nn.Linear(1, 1)])})

    for kind in (Net, WithMetric, Manual):
        kind.__module__ = "__main__"
        kind.__qualname__ = kind.__name__
        setattr(sys.modules["__main__"], kind.__name__, kind)

    def trained():
        model = Net()
        data = torch.utils.data.TensorDataset(torch.rand(8, 3), torch.randint(2, (8,)))
        trainer = L.Trainer(max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
        trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=4))
        return model

    yield "Net", Net
    yield "WithMetric", WithMetric
    yield "Manual", Manual
    yield "trained", trained
    for name in ["BoringModel", "ManualOptimBoringModel", "DemoModel"]:
        if hasattr(boring_classes, name):
            yield name, getattr(boring_classes, name)
    from lightning.pytorch.demos.transformer import LightningTransformer, Transformer
    yield "Transformer", lambda: Transformer(vocab_size=20, ninp=8, nhead=2, nhid=8, nlayers=1)
    yield "LightningTransformer", lambda: LightningTransformer(vocab_size=20)


def timm_cases():
    import timm

    for name in timm.list_models():
        yield name, lambda name=name: timm.create_model(name, pretrained=False)


SMALL = {
    "vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "max_position_embeddings": 32, "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
    "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
    "num_layers": 2, "num_heads": 2, "d_ff": 32, "d_kv": 8, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32,
    "head_dim": 8, "ffn_dim": 32, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "embedding_size": 16,
    "word_embed_proj_dim": 16, "pad_token_id": 0, "num_local_experts": 2, "num_experts": 2,
}
KINDS = """albert bart bert bert-generation big_bird bigbird_pegasus biogpt bit blenderbot bloom camembert canine clip codegen cohere
convbert convnext convnextv2 ctrl cvt data2vec-text deberta deberta-v2 deit detr dinov2 distilbert dpr efficientnet electra ernie esm
falcon flava fnet focalnet funnel gemma gemma2 git glpn gpt2 gpt_bigcode gpt_neo gpt_neox gptj granite hubert ibert imagegpt led levit
lilt llama longformer longt5 luke lxmert m2m_100 mamba mamba2 marian mbart megatron-bert mistral mixtral mobilebert mobilenet_v1
mobilenet_v2 mobilevit mpnet mpt mra mt5 mvp nystromformer olmo olmo2 opt pegasus persimmon phi phi3 plbart poolformer prophetnet pvt
qwen2 qwen2_moe qwen3 regnet rembert resnet roberta roberta-prelayernorm roc_bert roformer rwkv segformer sew siglip splinter
squeezebert stablelm starcoder2 swiftformer swin swinv2 switch_transformers t5 timesformer umt5 unispeech van videomae vilt vit vit_mae
vit_msn vivit wav2vec2 wavlm whisper xglm xlm xlm-roberta xlnet xmod yolos yoso zamba""".split()


def transformers_cases():
    from transformers import AutoConfig, AutoModel

    def build(kind):
        known = AutoConfig.for_model(kind)
        small = {key: value for key, value in SMALL.items() if isinstance(getattr(known, key, None), int)}
        try:
            return AutoModel.from_config(AutoConfig.for_model(kind, **small)).eval()
        except Exception:
            return AutoModel.from_config(known).eval()

    for kind in KINDS:
        yield kind, lambda kind=kind: build(kind)


GROUPS = {"lightning": lightning_cases, "timm": timm_cases, "transformers": transformers_cases}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--depickle", required=True)
    parser.add_argument("--describe", required=True)
    parser.add_argument("--group", action="append", choices=GROUPS)
    parser.add_argument("--every", type=int, default=1, help="only every Nth case of a group")
    parser.add_argument("--only", action="append", help="cases whose names match")
    parser.add_argument("--seconds", type=float, default=1e9, help="no new case after so long")
    options = parser.parse_args()
    torch.manual_seed(0)
    run, started, architectures = sweep.Sweep(options.depickle, options.describe), time.monotonic(), set()
    sweep.without_initialisation()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.pth"
        for group in options.group or GROUPS:
            for name, build in list(GROUPS[group]())[::options.every]:
                if time.monotonic() - started > options.seconds:
                    break
                if options.only and not any(fnmatch.fnmatch(name, glob) for glob in options.only):
                    continue
                try:
                    model = build()
                    if sum(p.numel() for p in model.parameters()) > 30_000_000:
                        continue
                except Exception as why:
                    run.refused.append(f"{name}: cannot be made: {type(why).__name__}: {str(why)[:120]}")
                    continue
                architectures.add(name)
                run.one(group, name, model, path, False)
    for group, count in run.passed.items():
        print(f"{group:12} {count:4} files as PyTorch says")
    for line in run.refused:
        print("    " + line)
    print(f"{len(architectures)} architectures, {run.tensors} tensors, {run.hashed} by checksum, "
          f"{sum(run.passed.values())} files passed, {len(run.failed)} failed in {time.monotonic() - started:.0f} s")
    return 1 if run.failed or not architectures else 0


if __name__ == "__main__":
    sys.exit(main())
