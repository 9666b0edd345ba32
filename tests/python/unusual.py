"""Whole models out of the ordinary, for sweep.py: shared and cyclic ones, classes that pickle
themselves, files as older versions left them, models among other things.

Classes here are pickled as `__main__`'s, as users' classes are.
"""

import copy
import copyreg
import enum
import io
import warnings
from collections import OrderedDict, namedtuple
from dataclasses import dataclass, field
from functools import partial

import torch
import torch.nn.utils.prune
from torch import nn


class Leaf(nn.Module):
    """Nothing in it."""


class Child(nn.Module):
    """Points to its parent, as an attribute and not as a child."""

    def __init__(self, parent):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.parent = [parent]
        self.names = {"a": parent}


class Parent(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 3)
        self.child = Child(self)


class Held(nn.Module):
    """Modules and tensors where PyTorch does not look: no children, not in its state dict."""

    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(2, 2), {"deep": (nn.Linear(3, 3), [nn.ReLU()])}]
        self.table = {"weights": torch.ones(3), 5: torch.zeros(2)}
        self.fc = nn.Linear(1, 1)


class Shared(nn.Module):
    """One module under many names, one weight in many modules."""

    def __init__(self):
        super().__init__()
        block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
        self.first, self.second = block, block
        self.list = nn.ModuleList([block, block, nn.Linear(3, 3)])
        self.dict = nn.ModuleDict({"x": block[0], "y": nn.Sequential(block, block[1])})
        self.list[2].weight = block[0].weight
        self.scale = block[0].weight
        self.register_buffer("mean", block[1].running_mean)
        self.register_buffer("again", block[1].running_mean, persistent=False)


class Copies(nn.Module):
    """`__getstate__` that returns a changed copy."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.lock = lambda: None

    def __getstate__(self):
        state = dict(self.__dict__)
        state.pop("lock")
        state["version"] = 2
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        self.lock = None


class Slots(nn.Module):
    __slots__ = ("one", "two")

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(1, 2), [1, 2]


class Reduced(nn.Module):
    """As protocols 0 and 1 pickle every object."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1, bias=False)

    def __reduce_ex__(self, protocol):
        return copyreg._reconstructor, (type(self), object, None), self.__dict__


class Ordered(nn.Module):
    """With the containers of PyTorch before 2.?: everything an OrderedDict."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.register_buffer("steps", torch.tensor(1))
        for name in ("_parameters", "_buffers", "_modules"):
            self.__dict__[name] = OrderedDict(self.__dict__[name])


class Replaced(nn.Module):
    """Members taken out, put back and renamed: the order is that of the dicts."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(1, 1), nn.ReLU(), nn.Linear(2, 2)
        del self.a
        self.a = nn.Linear(3, 3)
        self.b = None
        self.c = nn.Tanh()
        self.weight = nn.Parameter(torch.ones(2))
        del self.weight
        self.register_buffer("weight", torch.ones(2))
        self.bias = None
        self.register_parameter("gone", nn.Parameter(torch.ones(1)))
        self.gone = None


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Config:
    size: int = 3
    names: list = field(default_factory=lambda: ["a", "b"])


Point = namedtuple("Point", "x y")


class Configured(nn.Module):
    """Attributes of many kinds."""

    def __init__(self):
        super().__init__()
        self.config, self.colour, self.point = Config(), Colour.RED, Point(1, 2.5)
        self.dtype, self.device, self.size = torch.float16, torch.device("cpu"), torch.Size([2, 3])
        self.act, self.norm, self.make = torch.nn.functional.relu, nn.LayerNorm, partial(nn.Linear, bias=False)
        self.text, self.bytes, self.big = "ü\n'\"", b"\0\xff", 10**40
        self.numbers = (1e-300, float("inf"), -0.0, 1j, None, True)
        self.set, self.slice, self.range = {1, 2}, slice(1, None), range(3)
        self.fc = nn.Linear(2, 2)


class Odd(nn.Module):
    """Names that Python allows."""

    def __init__(self):
        super().__init__()
        self.add_module("with space", nn.ReLU())
        self.add_module("ünï", nn.Linear(1, 1))
        self.add_module("0", nn.Linear(1, 1))
        self.add_module("quote'\"", nn.Tanh())
        self.register_buffer("a b", torch.ones(1))


class Hooked(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
        self.fc.register_forward_hook(print)
        self.register_forward_pre_hook(len)


class Deep(nn.Module):
    def __init__(self, levels):
        super().__init__()
        self.inner = Deep(levels - 1) if levels else nn.Linear(1, 1)


class AttributeDict(dict):
    """As Lightning's, which keeps hyper-parameters in one."""


class LightningLike(nn.Module):
    """The attributes that a LightningModule has when it is pickled."""

    def __init__(self):
        super().__init__()
        self.prepare_data_per_node, self.allow_zero_length_dataloader_with_multiple_devices = True, False
        self._log_hyperparams, self._dtype, self._device = True, torch.float32, torch.device("cpu")
        self._trainer = self._example_input_array = self._automatic_optimization = None
        self._current_fx_name = self._param_requires_grad_state = self._fabric = None
        self._metric_attributes, self._compiler_ctx, self._jit_is_scripting = None, None, False
        self._hparams_name, self._hparams = "kwargs", AttributeDict(lr=0.1, layers=[1, 2])
        self._hparams_initial = copy.deepcopy(self._hparams)
        self.model, self.loss = nn.Sequential(nn.Linear(2, 2), nn.ReLU()), nn.CrossEntropyLoss(weight=torch.ones(2))


class Transformer(nn.Module):
    """A small language model with tied weights, as tutorials write it."""

    def __init__(self):
        super().__init__()
        self.embed, self.position = nn.Embedding(11, 8), nn.Embedding(5, 8)
        self.blocks = nn.ModuleList([nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(3)])
        self.norm, self.head = nn.LayerNorm(8), nn.Linear(8, 11, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("mask", torch.ones(5, 5).tril(), persistent=False)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda n, m: nn.Sequential(nn.Conv2d(n, m, 3, padding=1), nn.BatchNorm2d(m), nn.ReLU(inplace=True))
        self.down = nn.ModuleDict({"1": conv(1, 4), "2": conv(4, 8)})
        self.up = nn.ModuleDict({"2": nn.ConvTranspose2d(8, 4, 2, stride=2), "1": conv(8, 4)})
        self.pool, self.out = nn.MaxPool2d(2), nn.Conv2d(4, 1, 1)


def pruned(structured):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 3), nn.LSTM(2, 3))
    if structured:
        nn.utils.prune.ln_structured(model[0], "weight", amount=1, n=2, dim=0)
    nn.utils.prune.l1_unstructured(model[1], "weight", amount=2)
    nn.utils.prune.random_unstructured(model[1], "bias", amount=1)
    nn.utils.prune.identity(model[2], "weight_hh_l0")
    return model


def frozen():
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).eval()
    model[0].requires_grad_(False)
    model[1].double()
    model[2].to(torch.bfloat16)
    return model


def views():
    """Parameters that are views of one storage, transposed, expanded."""
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 3), nn.Linear(4, 4, bias=False))
    base = torch.arange(12.0)
    model[0].weight = nn.Parameter(base[:6].view(2, 3))
    model[1].weight = nn.Parameter(base[:6].view(2, 3).t())
    model[2].weight = nn.Parameter(torch.ones(1, 4).expand(4, 4))
    return model


def lazily_done():
    model = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d(), nn.LazyLinear(2))
    model(torch.ones(2, 5))
    return model


def scripted_inside():
    class Outside(nn.Module):
        pass

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    model.add_module("list", nn.ModuleList([nn.Sequential(nn.Linear(1, 1))]))
    return model


def fx_traced():
    import torch.fx

    return nn.ModuleDict({"a": torch.fx.symbolic_trace(UNet().down["1"]), "b": nn.ReLU()})


def layers():
    """A model of many layers that older versions had, too."""
    return nn.ModuleDict({
        "conv": nn.Conv2d(2, 4, 3, padding=1), "transposed": nn.ConvTranspose2d(2, 4, 3), "batch": nn.BatchNorm2d(4),
        "lstm": nn.LSTM(3, 4, bidirectional=True), "attention": nn.MultiheadAttention(4, 2), "embedding": nn.Embedding(4, 3),
        "bag": nn.EmbeddingBag(4, 3), "upsample": nn.Upsample(scale_factor=2), "softmax": nn.Softmax(1), "gelu": nn.GELU(),
        "encoder": nn.TransformerEncoderLayer(4, 2, 8), "decoder": nn.TransformerDecoderLayer(4, 2, 8),
        "instance": nn.InstanceNorm2d(3), "layer": nn.LayerNorm(3), "loss": nn.CrossEntropyLoss(), "pool": nn.MaxPool2d(2),
        "average": nn.AvgPool2d(2),
    })


def lacking(module, attributes):
    """The same module, but for some attributes; what it holds is shared."""
    short = type(module).__new__(type(module))
    short.__dict__.update({name: value for name, value in module.__dict__.items() if name not in attributes})
    return short


def without(attributes):
    """Layers that lack these attributes, as older versions left them; and how they would be with
    their defaults, for PyTorch cannot always tell."""
    whole = layers()

    def short(module):
        made = lacking(module, attributes)
        made.__dict__["_modules"] = {name: child and short(child) for name, child in module._modules.items()}
        return made

    return short(whole), whole


def each_attribute_missing(make_all):
    """Layers of `torch.nn` with one attribute missing each, of which PyTorch can still tell what
    they are: one `ModuleDict`."""
    internal = set(nn.Module().__dict__)
    kept, silent = nn.ModuleDict(), 0
    for name, model in make_all():
        for attribute in sorted(set(model.__dict__) - internal):
            short = lacking(model, [attribute])
            buffer = io.BytesIO()
            try:
                torch.save(short, buffer)
                buffer.seek(0)
                str(torch.load(buffer, weights_only=False))
            except Exception:
                silent += 1
                continue
            kept[f"{name}_{attribute}"] = short
    print(f"     {len(kept)} layers lack one attribute each; PyTorch cannot print {silent} others")
    return kept


HOOKS = [name for name in nn.Module().__dict__ if name.endswith("_hooks") or "hook" in name]
OLD = {
    "hooks": HOOKS,
    "1_4": [*HOOKS, "_non_persistent_buffers_set", "approximate", "label_smoothing", "recompute_scale_factor"],
    "1_2": [*HOOKS, "_non_persistent_buffers_set", "approximate", "padding_mode", "_reversed_padding_repeated_twice",
            "recompute_scale_factor", "batch_first", "_qkv_same_embed_dim"],
    "1_0": [*HOOKS, "_non_persistent_buffers_set", "padding_mode", "bias_k", "bias_v", "_qkv_same_embed_dim", "proj_size",
            "include_last_offset", "padding_idx_", "norm_first", "activation_relu_or_gelu"],
}


def cases(nn_layers):
    """`(name, make)` of all of them."""
    yield from {
        "leaf": Leaf, "parent": Parent, "held": Held, "shared": Shared, "copies": Copies, "slots": Slots,
        "reduced": Reduced, "ordered": Ordered, "replaced": Replaced, "configured": Configured, "odd_names": Odd,
        "hooked": Hooked, "deep": lambda: Deep(60), "lightning_like": LightningLike, "transformer": Transformer,
        "unet": UNet, "pruned": lambda: pruned(True), "pruned_flat": lambda: pruned(False), "frozen": frozen,
        "views": views, "lazily_done": lazily_done, "scripted_inside": scripted_inside, "fx_traced": fx_traced,
        "half": lambda: UNet().half(), "empty_lists": lambda: nn.ModuleDict({"l": nn.ModuleList(), "d": nn.ModuleDict()}),
        "whole_transformer": lambda: nn.Transformer(8, 2, 2, 2, 16), "encoder": lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(8, 2, 16), 2, norm=nn.LayerNorm(8)),
        "decoder": lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 3),
        "two_data_parallel": lambda: nn.DataParallel(nn.DataParallel(UNet())),
        "compiled_inside": lambda: nn.Sequential(torch.compile(nn.Linear(2, 2), backend="eager"), nn.ReLU()),
        "averaged_compiled": lambda: torch.optim.swa_utils.AveragedModel(UNet()),
        "weight_norm_conv": lambda: nn.Sequential(nn.utils.weight_norm(nn.Conv1d(2, 3, 3), dim=None)),
        "spectral_norms": lambda: nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(2, 3, 3)), nn.utils.spectral_norm(nn.Embedding(4, 3))),
        "requires_grad_off": lambda: UNet().requires_grad_(False),
        "recursed": lambda: nn.Sequential(*[nn.Sequential(*[nn.Sequential(nn.Linear(1, 1)) for _ in range(3)]) for _ in range(3)]),
    }.items()
    for version, attributes in OLD.items():
        yield f"old_{version}", lambda attributes=attributes: without(attributes)
    yield "each_attribute_missing", lambda: each_attribute_missing(nn_layers)
