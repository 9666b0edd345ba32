//! Classes of `torch.ao`: quantized, quantizable and observing modules. Older versions define
//! them under `torch.nn.quantized` and `torch.quantization`; those paths mean the same.
//!
//! Source: `torch/ao/nn/**`, `torch/ao/quantization/{observer,fake_quantize}.py` of 2.15.

use super::nn::{
    CONV, DIM, DROPOUT, ELU, EMBEDDING, EMBEDDING_BAG, GROUP_NORM, INPLACE, LAYER_NORM, LEAKY_RELU,
    LINEAR, NORM, RNN, RNN_CELL,
};
use super::{Rows, Rule, extra, whole};

const PACKED: &[&str] = &["LinearPackedParams", "EmbeddingPackedParams"];
const PACKED_RNN: &[&str] = &["PackedParameter", "ModuleList"];

const QUANTIZED_LINEAR: Rule = extra(
    "in_features={in_features}, out_features={out_features}, scale={scale}, \
     zero_point={zero_point}, qscheme={_packed_params._packed_params.state.0.0.qscheme}",
)
.named("Quantized*")
.hiding(PACKED);
const DYNAMIC_LINEAR: Rule = extra(
    "in_features={in_features}, out_features={out_features}, dtype={_packed_params.dtype}\
     [_packed_params.dtype==torch.qint8|, \
     qscheme={_packed_params._packed_params.state.0.0.qscheme}]",
)
.named("DynamicQuantized*")
.hiding(PACKED);
const QUANTIZED_CONV: Rule = extra(
    "{in_channels}, {out_channels}, kernel_size={kernel_size}, stride={stride}, scale={scale}, \
     zero_point={zero_point}[padding!=0*|, padding={padding}]\
     [dilation!=1*|, dilation={dilation}][output_padding!=0*|, output_padding={output_padding}]\
     [groups!=1|, groups={groups}][!bias?|, bias=False]",
)
.named("Quantized*");
const QUANTIZED_EMBEDDING: Rule = extra(
    "num_embeddings={num_embeddings}, embedding_dim={embedding_dim}, \
     dtype={_packed_params.dtype}, \
     qscheme={_packed_params._packed_weight.state.0.1.0.qscheme}",
)
.named("Quantized*")
.hiding(PACKED);
const DYNAMIC_RNN: Rule = extra(
    "{input_size}, {hidden_size}[num_layers!=1|, num_layers={num_layers}]\
     [bias!=True|, bias={bias}][batch_first!=False|, batch_first={batch_first}]\
     [dropout!=0|, dropout={dropout}][bidirectional!=False|, bidirectional={bidirectional}]",
)
.named("DynamicQuantized*")
.hiding(PACKED_RNN);
/// Per tensor or per channel, as the state of sparse packed parameters says.
const SPARSE_SCHEME: &str = "in_features={in_features}, out_features={out_features}, \
     scale={scale}, zero_point={zero_point}, \
     qscheme=torch.[_packed_params._packed_params.state.0.6|per_tensor_affine]\
     [!_packed_params._packed_params.state.0.6|per_channel_affine]";
const SPARSE_DYNAMIC_SCHEME: &str = "in_features={in_features}, out_features={out_features}, \
     qscheme=torch.[_packed_params._packed_params.state.0.6|per_tensor_affine]\
     [!_packed_params._packed_params.state.0.6|per_channel_affine]";
const MIN_MAX: Rule = extra("min_val={min_val}, max_val={max_val}");
const fn quantized(rule: Rule) -> Rule {
    rule.named("Quantized*")
}
const fn reference(rule: Rule) -> Rule {
    rule.named("Quantized*(Reference)")
}

pub(super) const ROWS: Rows = &[
    ("torch.ao.nn.quantized.modules.linear", "Linear", QUANTIZED_LINEAR),
    ("torch.ao.nn.quantized.modules.linear", "LinearPackedParams", whole("(tensor(...), ...)")),
    (
        "torch.ao.nn.intrinsic.quantized.modules.linear_relu",
        "LinearReLU LinearLeakyReLU LinearTanh",
        QUANTIZED_LINEAR,
    ),
    ("torch.ao.nn.quantized.dynamic.modules.linear", "Linear", DYNAMIC_LINEAR),
    ("torch.ao.nn.intrinsic.quantized.dynamic.modules.linear_relu", "LinearReLU", DYNAMIC_LINEAR),
    (
        "torch.ao.nn.quantized.modules.conv",
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        QUANTIZED_CONV,
    ),
    (
        "torch.ao.nn.quantized.dynamic.modules.conv",
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        QUANTIZED_CONV.named("DynamicQuantized*"),
    ),
    (
        "torch.ao.nn.intrinsic.quantized.modules.conv_relu",
        "ConvReLU1d ConvReLU2d ConvReLU3d",
        QUANTIZED_CONV,
    ),
    ("torch.ao.nn.intrinsic.quantized.modules.conv_add", "ConvAdd2d ConvAddReLU2d", QUANTIZED_CONV),
    ("torch.ao.nn.intrinsic.quantized.modules.bn_relu", "BNReLU2d BNReLU3d", quantized(NORM)),
    ("torch.ao.nn.quantized.modules.batchnorm", "BatchNorm2d BatchNorm3d", quantized(NORM)),
    (
        "torch.ao.nn.quantized.modules.normalization",
        "InstanceNorm1d InstanceNorm2d InstanceNorm3d",
        quantized(NORM),
    ),
    ("torch.ao.nn.quantized.modules.normalization", "LayerNorm", quantized(LAYER_NORM)),
    ("torch.ao.nn.quantized.modules.normalization", "GroupNorm", quantized(GROUP_NORM)),
    ("torch.ao.nn.quantized.modules.activation", "ReLU6", quantized(INPLACE)),
    ("torch.ao.nn.quantized.modules.activation", "ELU", quantized(ELU)),
    ("torch.ao.nn.quantized.modules.activation", "LeakyReLU", quantized(LEAKY_RELU)),
    ("torch.ao.nn.quantized.modules.activation", "Softmax", quantized(DIM)),
    (
        "torch.ao.nn.quantized.modules.activation",
        "Hardswish MultiheadAttention PReLU",
        quantized(Rule::PLAIN),
    ),
    ("torch.ao.nn.quantized.modules.dropout", "Dropout", quantized(DROPOUT)),
    ("torch.ao.nn.quantized.modules.rnn", "LSTM", quantized(Rule::PLAIN)),
    ("torch.ao.nn.quantized.modules.embedding_ops", "Embedding EmbeddingBag", QUANTIZED_EMBEDDING),
    ("torch.ao.nn.quantized.modules.embedding_ops", "EmbeddingPackedParams", whole("tensor(...)")),
    (
        "torch.ao.nn.quantized.modules.functional_modules",
        "QFunctional",
        extra("scale={scale}, zero_point={zero_point}"),
    ),
    (
        "torch.ao.nn.quantized.modules",
        "Quantize",
        extra("scale={scale}, zero_point={zero_point}, dtype={dtype}"),
    ),
    ("torch.ao.nn.quantized.dynamic.modules.rnn", "LSTM GRU", DYNAMIC_RNN),
    (
        "torch.ao.nn.quantized.dynamic.modules.rnn",
        "RNNBase",
        DYNAMIC_RNN.named("DynamicQuantizedRNN"),
    ),
    (
        "torch.ao.nn.quantized.dynamic.modules.rnn",
        "RNNCell LSTMCell GRUCell",
        RNN_CELL.named("DynamicQuantized*"),
    ),
    (
        "torch.ao.nn.quantized.dynamic.modules.rnn",
        "RNNCellBase",
        RNN_CELL.named("DynamicQuantizedRNNBase"),
    ),
    (
        "torch.ao.nn.sparse.quantized.linear",
        "Linear",
        extra(SPARSE_SCHEME).named("SparseQuantized*").hiding(PACKED),
    ),
    ("torch.ao.nn.sparse.quantized.linear", "LinearPackedParams", whole("(tensor(...), ...)")),
    (
        "torch.ao.nn.sparse.quantized.dynamic.linear",
        "Linear",
        extra(SPARSE_DYNAMIC_SCHEME).named("SparseQuantizedDynamic*").hiding(PACKED),
    ),
    ("torch.ao.nn.quantized.reference.modules.linear", "Linear", reference(LINEAR)),
    (
        "torch.ao.nn.quantized.reference.modules.conv",
        "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d",
        reference(CONV),
    ),
    ("torch.ao.nn.quantized.reference.modules.sparse", "Embedding", reference(EMBEDDING)),
    (
        "torch.ao.nn.quantized.reference.modules.sparse",
        "EmbeddingBag",
        EMBEDDING_BAG.named("QuantizedEmbedding(Reference)"),
    ),
    ("torch.ao.nn.quantized.reference.modules.rnn", "LSTM GRU", reference(RNN)),
    (
        "torch.ao.nn.quantized.reference.modules.rnn",
        "RNNCell LSTMCell GRUCell RNNCellBase",
        reference(RNN_CELL),
    ),
    ("torch.ao.nn.quantizable.modules.rnn", "LSTM LSTMCell", Rule::PLAIN.named("Quantizable*")),
    (
        "torch.ao.nn.quantizable.modules.activation",
        "MultiheadAttention",
        Rule::PLAIN.named("Quantizable*"),
    ),
    ("torch.ao.nn.qat.modules.linear", "Linear", LINEAR),
    ("torch.ao.nn.qat.dynamic.modules.linear", "Linear", LINEAR),
    ("torch.ao.nn.qat.modules.conv", "Conv1d Conv2d Conv3d", CONV),
    ("torch.ao.nn.qat.modules.embedding_ops", "Embedding", EMBEDDING),
    ("torch.ao.nn.qat.modules.embedding_ops", "EmbeddingBag", EMBEDDING_BAG),
    (
        "torch.ao.nn.intrinsic.qat.modules.conv_fused",
        "ConvBn1d ConvBn2d ConvBn3d ConvBnReLU1d ConvBnReLU2d ConvBnReLU3d ConvReLU1d ConvReLU2d \
         ConvReLU3d",
        CONV,
    ),
    ("torch.ao.nn.intrinsic.qat.modules.linear_relu", "LinearReLU", LINEAR),
    ("torch.ao.nn.intrinsic.qat.modules.linear_fused", "LinearBn1d", LINEAR),
    (
        "torch.ao.quantization.observer",
        "MinMaxObserver MovingAverageMinMaxObserver PerChannelMinMaxObserver \
         MovingAveragePerChannelMinMaxObserver HistogramObserver",
        MIN_MAX,
    ),
    (
        "torch.ao.quantization.observer",
        "PlaceholderObserver",
        extra("dtype={dtype}, is_dynamic={is_dynamic}"),
    ),
    (
        "torch.ao.quantization.fake_quantize",
        "FakeQuantize",
        extra(
            "fake_quant_enabled={fake_quant_enabled}, observer_enabled={observer_enabled}, \
             quant_min={activation_post_process.quant_min}, \
             quant_max={activation_post_process.quant_max}, dtype={dtype}, qscheme={qscheme}, \
             ch_axis={ch_axis}, scale={scale}, zero_point={zero_point}",
        ),
    ),
    (
        "torch.ao.quantization.fake_quantize",
        "FixedQParamsFakeQuantize",
        extra(
            "fake_quant_enabled={fake_quant_enabled}, observer_enabled={observer_enabled}, \
             scale={scale}, zero_point={zero_point}, dtype={dtype}, \
             quant_min={activation_post_process.quant_min}, \
             quant_max={activation_post_process.quant_max}, qscheme={qscheme}",
        ),
    ),
    (
        "torch.ao.quantization.fake_quantize",
        "FusedMovingAvgObsFakeQuantize",
        extra(
            "fake_quant_enabled={fake_quant_enabled}, observer_enabled={observer_enabled}, \
             scale={scale}, zero_point={zero_point}, dtype={dtype}, \
             quant_min={activation_post_process.quant_min}, \
             quant_max={activation_post_process.quant_max}, qscheme={qscheme}, \
             reduce_range={activation_post_process.reduce_range}",
        ),
    ),
];
