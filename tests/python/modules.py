"""Whole models and what PyTorch says of them, for tests/modules.rs.

    python modules.py OUT fixtures       # the small set committed in tests/fixtures/modules
    python modules.py OUT nn quantized vision timm transformers   # sweeps, run by hand

Each case becomes OUT/<name>.pkl (the `data.pkl` of `torch.save(model)`) and OUT/<name>.json:
`print(model)`, names of its state dict with dtypes and shapes, its modules, parameters and
buffers, and the bytes of storages small enough to be printed. Weights are random; large
models are built on the meta device.
"""

import argparse
import io
import json
import os
import pickletools
import sys
import warnings
import zipfile
from collections import OrderedDict

warnings.filterwarnings("ignore")

import torch
import torch.nn.utils.prune
from torch import nn

CASES = {}


def case(group, name, model):
    CASES.setdefault(group, []).append((name, model))


def tensor_fact(value):
    if isinstance(value, nn.parameter.UninitializedTensorMixin):
        return ["lazy", None]
    if isinstance(value, torch.Tensor):
        return [str(value.dtype).removeprefix("torch."), list(value.shape)]
    return [type(value).__name__, None]


def shown(model):
    """str(model), without the addresses that no file holds."""
    return str(model)


def saved(model, protocol):
    """The file, the pickle in it, and its small storages."""
    buffer = io.BytesIO()
    torch.save(model, buffer, pickle_protocol=protocol)
    archive = zipfile.ZipFile(buffer)
    names = archive.namelist()
    pkl = next(n for n in names if n.endswith("data.pkl"))
    root = pkl[: -len("data.pkl")]
    storages = {}
    for n in names:
        if n.startswith(root + "data/") and archive.getinfo(n).file_size <= 64:
            storages[n[len(root + "data/"):]] = archive.read(n).hex()
    return buffer, archive.read(pkl), storages


def saved_script(model, _protocol):
    """`data.pkl` of a TorchScript archive."""
    buffer = io.BytesIO()
    torch.jit.save(model, buffer)
    archive = zipfile.ZipFile(buffer)
    return buffer, archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl"))), {}


def saved_legacy(model, protocol):
    """The fourth pickle of the format before 1.6, which wraps classes with their source."""
    buffer = io.BytesIO()
    torch.save(model, buffer, pickle_protocol=protocol, _use_new_zipfile_serialization=False)
    buffer.seek(0)
    for _ in range(4):
        start = buffer.tell()
        for _ in pickletools.genops(buffer):
            pass
    return buffer, buffer.getvalue()[start:buffer.tell()], {}


def write(out, name, model, protocol=2, save=saved):
    buffer, pickled, storages = save(model, protocol)
    expected = shown(model)
    loaded = None
    try:
        buffer.seek(0)
        loaded = torch.load(buffer, weights_only=False)
        again = shown(loaded)
    except Exception:
        again = expected
    record = {
        "str": again,
        "state_dict": [[k, *tensor_fact(v)] for k, v in model.state_dict().items()],
        "modules": [n for n, _ in model.named_modules()],
        "parameters": [n for n, _ in model.named_parameters()],
        "buffers": [n for n, _ in model.named_buffers()],
    }
    whole = [p for p in model.parameters() if not isinstance(p, nn.parameter.UninitializedTensorMixin)]
    record["counts"] = [sum(p.numel() for p in whole), sum(p.numel() for p in whole if p.requires_grad)]
    if again != expected:
        record["before"] = expected
    if any(sign in again for sign in ("tensor(", "min_val=", "scale=")):
        record["storages"] = storages
    with open(os.path.join(out, name + ".pkl"), "wb") as f:
        f.write(pickled)
    with open(os.path.join(out, name + ".json"), "w") as f:
        json.dump(record, f, ensure_ascii=False, separators=(",", ":"))


# --- torch.nn -------------------------------------------------------------------------------

NN = """
Identity() Linear(3,4) Linear(3,4,bias=False) Bilinear(2,3,4) Bilinear(2,3,4,bias=False) LazyLinear(5)
LazyLinear(5,bias=False) Conv1d(2,4,3) Conv1d(2,4,3,padding='same') Conv1d(2,4,3,padding='valid',bias=False)
Conv2d(2,4,3) Conv2d(2,4,(3,5),stride=2,padding=1,dilation=2,groups=2,bias=False,padding_mode='reflect')
Conv2d(2,4,1,stride=(1,2),padding=(0,1)) Conv3d(2,4,3,padding=1) ConvTranspose1d(2,4,3,output_padding=1,stride=2)
ConvTranspose2d(2,4,3) ConvTranspose2d(2,4,3,stride=2,padding=1,output_padding=1,groups=2,dilation=2)
ConvTranspose3d(2,4,3) LazyConv1d(4,3) LazyConv2d(4,3,padding=1) LazyConv3d(4,3) LazyConvTranspose1d(4,3)
LazyConvTranspose2d(4,3) LazyConvTranspose3d(4,3) BatchNorm1d(4) BatchNorm2d(4,eps=1e-3,momentum=0.01)
BatchNorm2d(4,affine=False) BatchNorm2d(4,track_running_stats=False) BatchNorm2d(4,momentum=None) BatchNorm3d(4)
SyncBatchNorm(4) LazyBatchNorm1d() LazyBatchNorm2d(affine=False) LazyBatchNorm3d() InstanceNorm1d(4)
InstanceNorm2d(4,affine=True) InstanceNorm3d(4,track_running_stats=True) LazyInstanceNorm1d() LazyInstanceNorm2d()
LazyInstanceNorm3d() LayerNorm(8) LayerNorm((3,4),eps=1e-12) LayerNorm([2,3],elementwise_affine=False)
LayerNorm(8,bias=False) GroupNorm(2,4) GroupNorm(2,4,affine=False) RMSNorm(8) RMSNorm((2,3),eps=1e-6)
RMSNorm(8,elementwise_affine=False) LocalResponseNorm(2) LocalResponseNorm(5,alpha=1e-5,beta=0.5,k=2.) CrossMapLRN2d(3)
MaxPool1d(2) MaxPool2d(2) MaxPool2d((3,2),stride=(2,1),padding=1,dilation=2,return_indices=True,ceil_mode=True)
MaxPool3d(2) MaxUnpool1d(2) MaxUnpool2d(2,stride=2) MaxUnpool3d(2,padding=1) AvgPool1d(2) AvgPool2d(2,ceil_mode=True)
AvgPool3d(2) LPPool1d(2,3) LPPool2d(1.2,3,stride=2) LPPool3d(2,3) AdaptiveAvgPool1d(3) AdaptiveAvgPool2d((1,1))
AdaptiveAvgPool2d((5,None)) AdaptiveAvgPool3d(1) AdaptiveMaxPool1d(3) AdaptiveMaxPool2d(3) AdaptiveMaxPool3d((1,2,3))
FractionalMaxPool2d(3,output_size=(2,2)) FractionalMaxPool3d(3,output_size=2) Embedding(5,3)
Embedding(5,3,padding_idx=0,max_norm=1.5,norm_type=1.,scale_grad_by_freq=True,sparse=True) EmbeddingBag(5,3)
EmbeddingBag(5,3,max_norm=2,norm_type=1.,mode='sum',padding_idx=1) RNN(3,4) RNN(3,4,2,nonlinearity='relu',dropout=0.5)
LSTM(3,4) LSTM(3,4,num_layers=2,bias=False,batch_first=True,dropout=0.1,bidirectional=True,proj_size=2)
GRU(3,4,bidirectional=True) RNNCell(3,4) RNNCell(3,4,bias=False,nonlinearity='relu') LSTMCell(3,4) GRUCell(3,4,bias=False)
Dropout() Dropout(0.1,inplace=True) Dropout1d(0.2) Dropout2d(0.3) Dropout3d() AlphaDropout(0.4) FeatureAlphaDropout()
ReLU() ReLU(inplace=True) ReLU6() ReLU6(True) RReLU() RReLU(0.1,0.2,inplace=True) SELU() SELU(True) CELU() CELU(2,True)
ELU() ELU(0.5,True) GELU() GELU('tanh') GLU() GLU(1) SiLU() SiLU(True) Mish() Mish(True) Hardtanh() Hardtanh(-2,2,True)
Hardswish() Hardswish(True) Hardsigmoid() Hardshrink() Hardshrink(0.3) Softshrink() Softplus() Softplus(2,10) Softsign()
Tanhshrink() Tanh() Sigmoid() LogSigmoid() LeakyReLU() LeakyReLU(0.2,True) PReLU() PReLU(4,0.1) Threshold(0.1,20)
Threshold(0,1,True) Softmin() Softmin(1) Softmax() Softmax(-1) Softmax2d() LogSoftmax(1) Flatten() Flatten(0,2)
Unflatten(1,(2,5)) Unflatten(1,torch.Size([2,5])) Fold((4,5),(2,2)) Fold(4,2,dilation=1,padding=1,stride=2) Unfold(3)
Unfold((2,3),2,1,(1,2)) PixelShuffle(2) PixelUnshuffle(3) ChannelShuffle(2) Upsample(scale_factor=2)
Upsample(size=(3,4),mode='bilinear') Upsample(scale_factor=(2.,3.),mode='nearest') UpsamplingNearest2d(scale_factor=2)
UpsamplingBilinear2d(size=7) CircularPad1d(1) CircularPad2d((1,2,3,4)) CircularPad3d(1) ConstantPad1d(1,0.5)
ConstantPad2d((1,1,2,2),3) ConstantPad3d(1,-1.) ReflectionPad1d(1) ReflectionPad2d(2) ReflectionPad3d(1)
ReplicationPad1d(1) ReplicationPad2d(1) ReplicationPad3d(1) ZeroPad1d(1) ZeroPad2d((1,2,0,1)) ZeroPad3d(1)
CosineSimilarity() PairwiseDistance() MultiheadAttention(4,2) MultiheadAttention(4,2,kdim=3,vdim=3,bias=False,add_bias_kv=True)
TransformerEncoderLayer(4,2,8) TransformerEncoderLayer(4,2,8,activation='gelu',batch_first=True,norm_first=True)
TransformerDecoderLayer(4,2,8) L1Loss() MSELoss(reduction='sum') CrossEntropyLoss()
CrossEntropyLoss(weight=torch.ones(3),label_smoothing=0.1) NLLLoss() BCELoss() BCEWithLogitsLoss(pos_weight=torch.ones(2))
KLDivLoss() PoissonNLLLoss() GaussianNLLLoss() HingeEmbeddingLoss() HuberLoss() SmoothL1Loss() SoftMarginLoss()
MultiLabelMarginLoss() MultiLabelSoftMarginLoss() CosineEmbeddingLoss() MarginRankingLoss() MultiMarginLoss()
TripletMarginLoss() TripletMarginWithDistanceLoss() CTCLoss() NLLLoss2d() AdaptiveLogSoftmaxWithLoss(8,20,[5,10])
LinearCrossEntropyLoss(4,5) Container()
"""


def split_calls(text):
    out, depth, current = [], 0, ""
    for char in text:
        if char.isspace() and depth == 0:
            if current:
                out.append(current)
            current = ""
            continue
        depth += char in "([" and 1 or (char in ")]" and -1 or 0)
        current += char
    return out + ([current] if current else [])


def nn_cases():
    for index, call in enumerate(split_calls(NN)):
        try:
            model = eval("nn." + call)
        except Exception as error:
            print("cannot make", call, error, file=sys.stderr)
            continue
        case("nn", f"nn_{index:03}_{call.split('(')[0]}", model)


# --- Containers and users' own classes ------------------------------------------------------


class MLP(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.fc1 = nn.Linear(n, n)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(n, 2)
        self.register_buffer("kept", torch.zeros(2))
        self.register_buffer("dropped", torch.zeros(3), persistent=False)
        self.register_buffer("none", None)
        self.register_parameter("absent", None)
        self.scale = nn.Parameter(torch.ones(1), requires_grad=False)
        self.config = {"a": [1, 2.5, None], "b": ("x",)}


class Outer(nn.Module):
    class Inner(nn.Linear):
        pass

    def __init__(self):
        super().__init__()
        self.inner = Outer.Inner(2, 2)


class Slotted(nn.Module):
    __slots__ = ("extra",)

    def __init__(self):
        super().__init__()
        self.extra = 3
        self.fc = nn.Linear(1, 1)


class OwnState(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)
        self.cache = lambda: None

    def __getstate__(self):
        state = self.__dict__.copy()
        del state["cache"]
        return state


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(2, 2)
        self.b = nn.Linear(2, 2)
        self.b.weight = self.a.weight
        self.again = self.a


class WithLists(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = nn.ModuleList([nn.Linear(2, 2) for _ in range(4)])
        self.mixed = nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Linear(2, 3), nn.ReLU(), MLP(), MLP()])
        self.nested = nn.ModuleList([nn.ModuleList([nn.Linear(1, 1), nn.Linear(1, 1)]) for _ in range(3)])
        self.nested2 = nn.ModuleList(
            [nn.ModuleList([nn.Linear(1, 1)] * 2), nn.ModuleList([nn.Linear(1, 1)] * 3),
             nn.ModuleList([nn.Linear(1, 1)] * 3)])
        self.none = nn.ModuleList()
        self.dict = nn.ModuleDict({"x": nn.Tanh(), "y": nn.ModuleDict()})
        self.seq = nn.Sequential(OrderedDict([("first", nn.Linear(1, 1)), ("second", nn.Sequential())]))
        self.params = nn.ParameterList([torch.zeros(2, 3), nn.Parameter(torch.zeros(()), requires_grad=False), 5, None])
        self.pdict = nn.ParameterDict({"w": torch.zeros(2), "h": torch.zeros(1, dtype=torch.float16), "s": "text"})
        self.empty_params = nn.ParameterList()
        self.shortcut = None
        self.gone = nn.Identity()
        self.gone = None


class SubConv(nn.Conv2d):
    pass


class SubTransposed(nn.ConvTranspose1d):
    def __init__(self):
        super().__init__(2, 4, 3, stride=2, output_padding=1)
        self.more = 1


class SubLinear(nn.Linear):
    def __init__(self, n, m, rank=2, bias=False):
        super().__init__(n, m, bias=bias)
        self.rank = rank
        self.lora = nn.Parameter(torch.zeros(rank))


class SubNorm(nn.BatchNorm2d):
    pass


class SubNormStateless(nn.BatchNorm1d):
    def __init__(self):
        super().__init__(3, affine=False, track_running_stats=False)


class SubLayerNorm(nn.LayerNorm):
    pass


class SubGroupNorm(nn.GroupNorm):
    pass


class SubEmbedding(nn.Embedding):
    pass


class SubLSTM(nn.LSTM):
    pass


class SubPool(nn.MaxPool2d):
    pass


class SubSequential(nn.Sequential):
    pass


class OwnConvolution(nn.Module):
    """As graph networks write it: the weight is the other way round."""

    def __init__(self, n, m):
        super().__init__()
        self.in_features, self.out_features = n, m
        self.weight = nn.Parameter(torch.zeros(n, m))
        self.bias = nn.Parameter(torch.zeros(m))


class OwnLayerNorm(nn.Module):
    """As ConvNeXt has it."""

    def __init__(self, n):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n))
        self.bias = nn.Parameter(torch.zeros(n))
        self.eps, self.data_format, self.normalized_shape = 1e-6, "channels_last", (n,)


class OwnNorm(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.num_features, self.eps, self.momentum = n, 1e-5, 0.1
        self.weight = nn.Parameter(torch.ones(n))


class OwnNoisy(nn.Module):
    def __init__(self, n, m):
        super().__init__()
        self.in_features, self.out_features = n, m
        self.weight_mu = nn.Parameter(torch.zeros(m, n))
        self.bias_mu = nn.Parameter(torch.zeros(m))


def container_cases():
    case("containers", "subclasses", nn.Sequential(
        SubConv(2, 4, 3, padding=1), SubTransposed(), SubLinear(3, 4), SubNorm(4), SubNormStateless(), SubLayerNorm(4),
        SubGroupNorm(2, 4), SubEmbedding(5, 3, padding_idx=0), SubLSTM(3, 4), SubPool(2), SubSequential(nn.ReLU())))
    case("containers", "own_layers", nn.Sequential(
        OwnConvolution(3, 4), OwnLayerNorm(3), OwnNorm(3), OwnNoisy(3, 4)))
    case("containers", "mlp", MLP())
    case("containers", "mlp_eval_double", MLP().eval().double())
    case("containers", "nested_class", Outer())
    case("containers", "slotted", Slotted())
    case("containers", "own_state", OwnState())
    case("containers", "tied", Tied())
    case("containers", "lists", WithLists())
    case("containers", "data_parallel", nn.DataParallel(MLP()))
    case("containers", "weight_norm_old", nn.Sequential(nn.utils.weight_norm(nn.Linear(2, 3))))
    case("containers", "spectral_norm_old", nn.Sequential(nn.utils.spectral_norm(nn.Linear(2, 3))))
    pruned = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    nn.utils.prune.random_unstructured(pruned[0], "weight", amount=0.5)
    case("containers", "pruned", pruned)
    case("containers", "shared", nn.Sequential(*[nn.Linear(2, 2)] * 3))
    case("containers", "lazy", nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(3)))
    from torch.optim.swa_utils import AveragedModel

    case("containers", "averaged", AveragedModel(MLP()))
    import torch.fx

    case("containers", "fx", torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2), nn.ReLU())))
    case("containers", "fx_inside", nn.Sequential(torch.fx.symbolic_trace(nn.Sequential(nn.Linear(2, 2)))))
    try:
        case("containers", "compiled", torch.compile(MLP(), backend="eager"))
    except Exception as error:
        print("no compile", error, file=sys.stderr)
    case("containers", "script", torch.jit.trace(nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval(),
                                                 torch.zeros(1, 1, 2, 2)))
    case("containers", "scripted", torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.ReLU()])[0])))
    from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper

    case("containers", "checkpointed", nn.Sequential(checkpoint_wrapper(nn.Linear(2, 2)), nn.ReLU()))


# --- Quantized ------------------------------------------------------------------------------


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        from torch.ao.quantization import DeQuantStub, QuantStub

        self.quant = QuantStub()
        self.conv = nn.Conv2d(1, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.relu = nn.ReLU()
        self.fc = nn.Linear(4 * 26 * 26, 3)
        self.relu2 = nn.ReLU()
        self.dequant = DeQuantStub()

    def forward(self, x):
        x = self.relu(self.bn(self.conv(self.quant(x))))
        return self.dequant(self.relu2(self.fc(x.flatten(1))))


def quantized_cases():
    import torch.ao.nn.quantizable as nnqa
    import torch.ao.nn.quantized as nnq
    import torch.ao.nn.quantized.dynamic as nnqd
    import torch.ao.nn.quantized.reference as nnqr
    import torch.ao.nn.intrinsic.quantized as nniq
    import torch.ao.nn.sparse.quantized as snq
    import torch.ao.quantization as tq

    torch.backends.quantized.engine = "fbgemm"
    quantized = """
    nnq.Linear(3,4) nnq.Linear(3,4,bias_=False) nnq.Conv1d(2,4,3) nnq.Conv2d(2,4,3,padding=1,stride=2,bias=False)
    nnq.Conv3d(2,4,3,groups=2) nnq.ConvTranspose1d(2,4,3) nnq.ConvTranspose2d(2,4,3,output_padding=1,stride=2)
    nnq.BatchNorm2d(3) nnq.BatchNorm3d(3) nnq.ReLU6() nnq.ELU(0.1,2) nnq.LeakyReLU(0.1,2) nnq.Hardswish(0.1,2)
    nnq.Softmax(1) nnq.Sigmoid(0.1,2) nnq.Dropout(0.2) nnq.Embedding(3,8) nnq.EmbeddingBag(3,8) nnq.QFunctional()
    nnq.FloatFunctional() nnq.FXFloatFunctional() nnq.DeQuantize() nnq.Quantize(0.5,2,torch.quint8)
    nnq.PReLU(0.1,2) nnq.InstanceNorm2d(3,torch.ones(3),torch.zeros(3),0.1,2)
    nnq.LayerNorm(3,torch.ones(3),torch.zeros(3),0.1,2) nnq.GroupNorm(1,3,torch.ones(3),torch.zeros(3),0.1,2)
    nnqd.Linear(3,4) nnqd.Linear(3,4,dtype=torch.float16) nnqd.LSTM(3,4) nnqd.LSTM(3,4,2,bidirectional=True)
    nnqd.GRU(3,4,bias=False) nnqd.LSTMCell(3,4) nnqd.GRUCell(3,4,bias=False) nnqd.RNNCell(3,4,nonlinearity='relu')
    nnqd.Conv1d(2,4,3) nnqd.Conv2d(2,4,3) nnqd.ConvTranspose2d(2,4,3) nniq.LinearReLU(3,4) nniq.ConvReLU2d(2,4,3)
    nniq.BNReLU2d(3) nnqr.Linear(3,4) nnqr.Conv2d(2,4,3) nnqr.LSTMCell(3,4) nnqr.LSTM(3,4) nnqr.Embedding(3,4)
    nnqr.EmbeddingBag(3,4) nnqa.LSTM(3,4) nnqa.MultiheadAttention(4,2) snq.Linear(8,4,1,4) snq.dynamic.Linear(8,4,1,4)
    tq.MinMaxObserver() tq.MovingAverageMinMaxObserver() tq.PerChannelMinMaxObserver() tq.HistogramObserver()
    tq.PlaceholderObserver() tq.NoopObserver() tq.RecordingObserver() tq.FakeQuantize() tq.default_fused_act_fake_quant()
    tq.default_fused_per_channel_wt_fake_quant() tq.default_fixed_qparams_range_0to1_fake_quant() tq.QuantStub()
    tq.QuantWrapper(nn.Linear(2,2))
    """
    for index, call in enumerate(split_calls(quantized)):
        try:
            case("quantized", f"q_{index:03}_{call.split('(')[0].replace('.', '_')}", eval(call))
        except Exception as error:
            print("cannot make", call, error, file=sys.stderr)

    def prepared(qat):
        model = Small()
        model = model.train() if qat else model.eval()
        fuse = tq.fuse_modules_qat if qat else tq.fuse_modules
        model = fuse(model, [["conv", "bn", "relu"], ["fc", "relu2"]])
        model.qconfig = tq.get_default_qat_qconfig() if qat else tq.get_default_qconfig()
        model = (tq.prepare_qat if qat else tq.prepare)(model)
        with torch.no_grad():
            model(torch.randn(2, 1, 28, 28))
        return model

    def bare(model):
        # Default configurations hold local functions, which cannot be pickled.
        for module in model.modules():
            module.__dict__.pop("qconfig", None)
            if "meta" in module.__dict__:
                module.meta = {}
        return model

    import copy

    case("quantized", "prepared", bare(prepared(False)))
    case("quantized", "prepared_qat", bare(prepared(True)))
    case("quantized", "converted", tq.convert(prepared(False).eval()))
    case("quantized", "converted_qat", tq.convert(prepared(True).eval()))
    case("quantized", "dynamic", tq.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4), nn.Linear(4, 2)), {nn.Linear, nn.LSTM}))
    try:
        from torch.ao.quantization.quantize_fx import convert_fx, convert_to_reference_fx, prepare_fx, prepare_qat_fx

        example = (torch.randn(2, 1, 28, 28),)

        class Plain(nn.Module):
            def __init__(self):
                super().__init__()
                self.conv = nn.Conv2d(1, 4, 3)
                self.bn = nn.BatchNorm2d(4)
                self.fc = nn.Linear(4 * 26 * 26, 3)

            def forward(self, x):
                return self.fc(torch.relu(self.bn(self.conv(x))).flatten(1))

        float_model = Plain().eval()
        ready = prepare_fx(copy.deepcopy(float_model), tq.get_default_qconfig_mapping(), example)
        ready(*example)
        case("quantized", "fx_prepared", bare(copy.deepcopy(ready)))
        case("quantized", "fx_reference", convert_to_reference_fx(copy.deepcopy(ready)))
        case("quantized", "fx_converted", convert_fx(ready))
        case("quantized", "fx_qat", bare(prepare_qat_fx(Plain().train(), tq.get_default_qat_qconfig_mapping(), example)))
    except Exception as error:
        print("no fx quantization", repr(error)[:200], file=sys.stderr)


# --- Model zoos -----------------------------------------------------------------------------


def on_meta(make):
    try:
        with torch.device("meta"):
            return make()
    except Exception:
        return make()


def vision_cases():
    import torchvision
    import torchvision.transforms as T
    from torchvision import ops

    for name in torchvision.models.list_models():
        def make(name=name):
            return torchvision.models.get_model(name, weights=None, **(
                {"weights_backbone": None} if "fpn" in name or "fcn" in name or "deeplab" in name
                or "ssd" in name or "lraspp" in name or name.startswith(("keypoint", "mask", "faster", "retina", "fcos")) else {}))
        case("vision", "tv_" + name, lambda make=make: on_meta(make))
    calls = """
    ops.RoIAlign((7,7),0.25,2) ops.RoIAlign(7,0.25,2,aligned=True) ops.RoIPool(7,0.5) ops.PSRoIAlign(3,0.5,2)
    ops.PSRoIPool(3,0.5) ops.MultiScaleRoIAlign(['0','1'],7,2) ops.FrozenBatchNorm2d(8) ops.DropBlock2d(0.1,3)
    ops.StochasticDepth(0.2,'row') ops.DeformConv2d(4,4,3) ops.DeformConv2d(4,4,(3,3),padding=1,bias=False,groups=2)
    ops.MLP(3,[4,5]) ops.Permute([0,2,1]) ops.SqueezeExcitation(8,2) ops.Conv2dNormActivation(3,8)
    ops.FeaturePyramidNetwork([4,8],4) T.Resize(3) T.Resize((3,4),T.InterpolationMode.BICUBIC) T.CenterCrop(3) T.Pad(2)
    T.Normalize([0.5],[0.5]) T.RandomCrop(3) T.RandomHorizontalFlip(0.1) T.ColorJitter(0.1,0.2,0.3,0.4)
    T.RandomRotation(10) T.RandomAffine(10) T.Grayscale() T.RandomErasing() T.GaussianBlur(3) T.RandomInvert()
    T.RandAugment() T.TrivialAugmentWide() T.AutoAugment() T.ElasticTransform() T.RandomPosterize(3)
    """
    for index, call in enumerate(split_calls(calls)):
        try:
            case("vision", f"tvop_{index:03}_{call.split('(')[0].split('.')[1]}", eval(call, {"ops": ops, "T": T}))
        except Exception as error:
            print("cannot make", call, error, file=sys.stderr)


def timm_cases():
    import timm

    for name in timm.list_models():
        case("timm", "timm_" + name, lambda name=name: on_meta(lambda: timm.create_model(name, pretrained=False)))


def transformers_cases():
    import transformers
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    for kind, names in MODEL_MAPPING_NAMES.items():
        name = names[0] if isinstance(names, (tuple, list)) else names

        def make(kind=kind, name=name):
            config = CONFIG_MAPPING[kind]()
            for part in [config, *(v for v in vars(config).values() if hasattr(v, "to_dict"))]:
                for key in ("num_hidden_layers", "encoder_layers", "decoder_layers", "n_layer", "num_layers"):
                    if isinstance(getattr(part, key, None), int):
                        setattr(part, key, 2)
            with torch.device("meta"):
                return getattr(transformers, name)(config)

        case("transformers", "hf_" + name, make)


def other_cases():
    """Libraries that happen to be installed. Only what builds without fetching weights."""
    calls = """
    tg.GCNConv(3,4) tg.GATConv(3,4,heads=2) tg.SAGEConv(3,4) tg.GINConv(nn.Sequential(nn.Linear(3,4),nn.ReLU()))
    tg.GraphConv(3,4) tg.TransformerConv(3,4,2) tg.ChebConv(3,4,2) tg.EdgeConv(nn.Linear(6,4)) tg.RGCNConv(3,4,2)
    tg.GCN(3,4,2) tg.GAT(3,4,2,5) tg.GraphSAGE(3,4,2) tg.MLP([3,4,5]) tg.Linear(3,4) tg.BatchNorm(4) tg.LayerNorm(4)
    tg.GraphNorm(4) tg.TopKPooling(4) tg.SAGPooling(4) tg.Set2Set(4,2) tg.GlobalAttention(nn.Linear(3,1)) tg.JumpingKnowledge('cat')
    tg.PNAConv(3,4,['mean'],['identity'],torch.ones(3)) tg.SchNet(8,8,2) tg.GatedGraphConv(4,2) tg.APPNP(2,0.1) tg.GPSConv(4,None)
    tg.Node2Vec(torch.tensor([[0,1],[1,0]]),4,2,2) tg.MeanAggregation() tg.SoftmaxAggregation(learn=True) tg.NNConv(3,4,nn.Linear(2,12))
    ein.Rearrange('b_c_h_w->b_(c_h_w)'.replace('_',chr(32))) ein.Rearrange('b(hp)->bhp'.replace('(hp)',chr(32)+'(h'+chr(32)+'p)'+chr(32)).replace('bhp','b'+chr(32)+'h'+chr(32)+'p'),p=2)
    ein.Reduce('bc->b'.replace('bc','b'+chr(32)+'c'),'mean')
    smp.Unet('resnet18',encoder_weights=None) smp.UnetPlusPlus('efficientnet-b0',encoder_weights=None)
    smp.DeepLabV3Plus('mobilenet_v2',encoder_weights=None) smp.FPN('resnet18',encoder_weights=None)
    smp.Segformer('mit_b0',encoder_weights=None) smp.Linknet('vgg11',encoder_weights=None) smp.PAN('resnet18',encoder_weights=None)
    eff.EfficientNet.from_name('efficientnet-b0') vit.ViT(image_size=32,patch_size=8,num_classes=3,dim=16,depth=2,heads=2,mlp_dim=32)
    vit.SimpleViT(image_size=32,patch_size=8,num_classes=3,dim=16,depth=2,heads=2,mlp_dim=32)
    xt.TransformerWrapper(num_tokens=20,max_seq_len=16,attn_layers=xt.Decoder(dim=16,depth=2,heads=2))
    monai.UNet(3,1,2,(4,8),(2,)) monai.DenseNet121(2,1,2) monai.UNETR(1,2,(32,32,32),hidden_size=12,num_heads=2) monai.SegResNet() monai.SwinUNETR(1,2)
    oc.create_model('RN50') oc.create_model('ViT-B-32') lit() lit_metrics() yolo('yolov8n.yaml') yolo('yolo11n-seg.yaml')
    yolo('yolov5n.yaml') yolo('yolov9c.yaml') yolo('yolov10n.yaml') kornia.feature.LoFTR(pretrained=None)
    """
    import importlib

    def module(name):
        try:
            return importlib.import_module(name)
        except Exception as error:
            print("no", name, repr(error)[:100], file=sys.stderr)

    class Lazily:
        def __init__(self, *names):
            self.modules = [m for m in map(module, names) if m]

        def __getattr__(self, name):
            return next(getattr(m, name) for m in self.modules if hasattr(m, name))

    def lit():
        import lightning

        class Lit(lightning.LightningModule):
            def __init__(self):
                super().__init__()
                self.save_hyperparameters({"lr": 0.1})
                self.model = MLP()
                self.loss = nn.CrossEntropyLoss()

        globals()["Lit"] = Lit
        Lit.__qualname__ = "Lit"
        return Lit()

    def lit_metrics():
        import torchmetrics

        return nn.ModuleDict({"a": torchmetrics.MeanMetric(), "b": torchmetrics.classification.BinaryAccuracy()})

    def yolo(name):
        from ultralytics import YOLO

        return YOLO(name).model

    scope = {
        "nn": nn, "torch": torch, "tg": Lazily("torch_geometric.nn"), "ein": Lazily("einops.layers.torch"),
        "smp": Lazily("segmentation_models_pytorch"), "eff": Lazily("efficientnet_pytorch"),
        "vit": Lazily("vit_pytorch", "vit_pytorch.simple_vit"), "xt": Lazily("x_transformers"),
        "monai": Lazily("monai.networks.nets"), "oc": Lazily("open_clip"), "lit": lit, "lit_metrics": lit_metrics,
        "yolo": yolo, "kornia": module("kornia"), "chr": chr,
    }
    for index, call in enumerate(split_calls(calls)):
        name = "".join(c if c.isalnum() else "_" for c in call.split("(")[0])
        case("other", f"o_{index:03}_{name}", lambda call=call: eval(call, scope))


def fixture_cases():
    """All small modules of a group in one file: they share their strings."""
    nn_cases()
    quantized_cases()
    container_cases()
    vision_cases()
    made = {group: [(n, m) for n, m in CASES[group] if isinstance(m, nn.Module)] for group in list(CASES)}
    # A whole quantized convolution loads without its dicts, and cannot be printed then.
    for group in ("nn", "quantized", "vision"):
        models = nn.ModuleDict({f"m{n}": model for n, (_, model) in enumerate(made[group])})
        for module in models.modules():
            # Empty, and half of the file; printing needs none of them.
            for name in [name for name in module.__dict__ if name.endswith("_hooks")]:
                if name not in ("_state_dict_hooks", "_state_dict_pre_hooks"):
                    del module.__dict__[name]
        case("fixtures", group, models)
    for name, model in made["containers"]:
        case("fixtures", name, model)
    for name in ("q_005_nnq_ConvTranspose1d",):
        case("fixtures", name, dict(made["quantized"])[name])


GROUPS = {
    "fixtures": fixture_cases,
    "nn": nn_cases,
    "containers": container_cases,
    "quantized": quantized_cases,
    "vision": vision_cases,
    "timm": timm_cases,
    "transformers": transformers_cases,
    "other": other_cases,
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("groups", nargs="+")
    parser.add_argument("--forms", action="store_true", help="every protocol, old and new format")
    args = parser.parse_args()
    os.makedirs(args.out, exist_ok=True)
    for group in args.groups:
        torch.manual_seed(0)
        GROUPS[group]()
        for name, model in CASES[group]:
            try:
                model = model() if callable(model) and not isinstance(model, nn.Module) else model
                if isinstance(model, torch.jit.ScriptModule):
                    write(args.out, name, model, save=saved_script)
                elif not args.forms:
                    write(args.out, name, model)
                for protocol in range(6 if args.forms else 0):
                    write(args.out, f"{name}_p{protocol}", model, protocol)
                    write(args.out, f"{name}_legacy{protocol}", model, protocol, saved_legacy)
            except Exception as error:
                print("cannot save", name, repr(error)[:200], file=sys.stderr)


if __name__ == "__main__":
    main()
