//! Classes of `torch.nn`. Source: `extra_repr` in `torch/nn/modules/*.py` of PyTorch 2.15.

use super::odd;
use super::{Body, Rows, Rule, extra, rule};

pub(super) const LINEAR: Rule =
    extra("in_features={in_features}, out_features={out_features}, bias={bias?}");
pub(super) const CONV: Rule = extra(
    "{in_channels}, {out_channels}, kernel_size={kernel_size}, stride={stride}\
     [padding!=0*|, padding={padding}][dilation!=1*|, dilation={dilation}]\
     [output_padding!=0*|, output_padding={output_padding}][groups!=1|, groups={groups}]\
     [!bias?|, bias=False][padding_mode!=zeros|, padding_mode={padding_mode}]",
);
pub(super) const NORM: Rule = extra(
    "{num_features}, eps={eps}, momentum={momentum}, affine={affine=True}, bias={bias?}, \
     track_running_stats={track_running_stats=True}",
);
/// Before 0.4 they kept none to track.
const INSTANCE_NORM: Rule = extra(
    "{num_features}, eps={eps}, momentum={momentum}, affine={affine=False}, bias={bias?}, \
     track_running_stats={track_running_stats=False}",
);
pub(super) const LAYER_NORM: Rule =
    extra("{normalized_shape}, eps={eps}, elementwise_affine={elementwise_affine}, bias={bias?}");
pub(super) const GROUP_NORM: Rule =
    extra("{num_groups}, {num_channels}, eps={eps}, affine={affine}, bias={bias?}");
pub(super) const RMS_NORM: Rule =
    extra("{normalized_shape}, eps={eps}, elementwise_affine={elementwise_affine}");
pub(super) const MAX_POOL: Rule = extra(
    "kernel_size={kernel_size}, stride={stride}, padding={padding}, dilation={dilation}, \
     ceil_mode={ceil_mode}",
);
pub(super) const AVG_POOL: Rule =
    extra("kernel_size={kernel_size}, stride={stride}, padding={padding=0}");
pub(super) const EMBEDDING: Rule = extra(
    "{num_embeddings}, {embedding_dim}[padding_idx?|, padding_idx={padding_idx}]\
     [max_norm?|, max_norm={max_norm}][norm_type!=2|, norm_type={norm_type}]\
     [scale_grad_by_freq!=False|, scale_grad_by_freq={scale_grad_by_freq}]\
     [sparse!=False|, sparse=True]",
);
pub(super) const EMBEDDING_BAG: Rule = extra(
    "{num_embeddings}, {embedding_dim}[max_norm?|, max_norm={max_norm}]\
     [norm_type!=2|, norm_type={norm_type}]\
     [scale_grad_by_freq!=False|, scale_grad_by_freq={scale_grad_by_freq}], mode={mode!r}\
     [padding_idx?|, padding_idx={padding_idx}]",
);
pub(super) const RNN: Rule = extra(
    "{input_size}, {hidden_size}[proj_size!=0|, proj_size={proj_size}]\
     [num_layers!=1|, num_layers={num_layers}][bias!=True|, bias={bias}]\
     [batch_first!=False|, batch_first={batch_first}][dropout!=0|, dropout={dropout}]\
     [bidirectional!=False|, bidirectional={bidirectional}]",
);
pub(super) const RNN_CELL: Rule = extra(
    "{input_size}, {hidden_size}[bias!=True|, bias={bias}]\
     [nonlinearity!=tanh|, nonlinearity={nonlinearity}]",
);
pub(super) const UPSAMPLE: Rule = extra(
    "[scale_factor?|scale_factor={scale_factor!r}][!scale_factor?|size={size!r}], mode={mode!r}",
);
pub(super) const DROPOUT: Rule = extra("p={p}, inplace={inplace}");
pub(super) const INPLACE: Rule = extra("[inplace|inplace=True]");
pub(super) const ELU: Rule = extra("alpha={alpha}[inplace|, inplace=True]");
pub(super) const LEAKY_RELU: Rule =
    extra("negative_slope={negative_slope}[inplace|, inplace=True]");
pub(super) const PRELU: Rule = extra("num_parameters={num_parameters}");
pub(super) const DIM: Rule = extra("dim={dim=None}");
const OUTPUT_SIZE: Rule = extra("output_size={output_size}");
const PADDING: Rule = extra("{padding}");
pub(super) const LIST: Rule = Rule { folds: true, ..Rule::PLAIN };

pub(super) const ROWS: Rows = &[
    ("torch.nn.modules.linear", "Linear LazyLinear NonDynamicallyQuantizableLinear", LINEAR),
    ("torch.nn.modules.linear", "_LinearWithBias", LINEAR),
    (
        "torch.nn.modules.linear",
        "Bilinear",
        extra(
            "in1_features={in1_features}, in2_features={in2_features}, \
             out_features={out_features}, bias={bias?}",
        ),
    ),
    (
        "torch.nn.modules.conv",
        "_ConvNd Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d LazyConv1d \
         LazyConv2d LazyConv3d LazyConvTranspose1d LazyConvTranspose2d LazyConvTranspose3d",
        CONV,
    ),
    (
        "torch.nn.modules.batchnorm",
        "_NormBase _BatchNorm BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm LazyBatchNorm1d \
         LazyBatchNorm2d LazyBatchNorm3d",
        NORM,
    ),
    (
        "torch.nn.modules.instancenorm",
        "_InstanceNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d LazyInstanceNorm1d \
         LazyInstanceNorm2d LazyInstanceNorm3d",
        INSTANCE_NORM,
    ),
    ("torch.nn.modules.normalization", "LayerNorm", LAYER_NORM),
    ("torch.nn.modules.normalization", "GroupNorm", GROUP_NORM),
    ("torch.nn.modules.normalization", "RMSNorm", RMS_NORM),
    (
        "torch.nn.modules.normalization",
        "LocalResponseNorm CrossMapLRN2d",
        extra("{size}, alpha={alpha}, beta={beta}, k={k}"),
    ),
    ("torch.nn.modules.pooling", "MaxPool1d MaxPool2d MaxPool3d", MAX_POOL),
    ("torch.nn.modules.pooling", "AvgPool1d AvgPool2d AvgPool3d", AVG_POOL),
    ("torch.nn.modules.pooling", "MaxUnpool1d MaxUnpool2d MaxUnpool3d", AVG_POOL),
    (
        "torch.nn.modules.pooling",
        "LPPool1d LPPool2d LPPool3d",
        extra(
            "norm_type={norm_type}, kernel_size={kernel_size}, stride={stride}, \
             ceil_mode={ceil_mode}",
        ),
    ),
    (
        "torch.nn.modules.pooling",
        "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d \
         AdaptiveMaxPool2d AdaptiveMaxPool3d",
        OUTPUT_SIZE,
    ),
    ("torch.nn.modules.sparse", "Embedding", EMBEDDING),
    ("torch.nn.modules.sparse", "EmbeddingBag", EMBEDDING_BAG),
    ("torch.nn.modules.rnn", "RNNBase RNN LSTM GRU", RNN),
    ("torch.nn.modules.rnn", "RNNCellBase RNNCell LSTMCell GRUCell", RNN_CELL),
    (
        "torch.nn.modules.dropout",
        "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout",
        DROPOUT,
    ),
    ("torch.nn.modules.activation", "ReLU ReLU6 SiLU Mish SELU", INPLACE),
    ("torch.nn.modules.activation", "ELU CELU", ELU),
    ("torch.nn.modules.activation", "LeakyReLU", LEAKY_RELU),
    ("torch.nn.modules.activation", "PReLU", PRELU),
    ("torch.nn.modules.activation", "GELU", extra("approximate={approximate!r='none'}")),
    ("torch.nn.modules.activation", "GLU Softmin Softmax LogSoftmax", DIM),
    ("torch.nn.modules.activation", "Hardshrink Softshrink", extra("{lambd}")),
    ("torch.nn.modules.activation", "Softplus", extra("beta={beta}, threshold={threshold}")),
    (
        "torch.nn.modules.activation",
        "Hardtanh",
        extra("min_val={min_val}, max_val={max_val}[inplace|, inplace=True]"),
    ),
    (
        "torch.nn.modules.activation",
        "RReLU",
        extra("lower={lower}, upper={upper}[inplace|, inplace=True]"),
    ),
    (
        "torch.nn.modules.activation",
        "Threshold",
        extra("threshold={threshold}, value={value}[inplace|, inplace=True]"),
    ),
    ("torch.nn.modules.flatten", "Flatten", extra("start_dim={start_dim}, end_dim={end_dim}")),
    (
        "torch.nn.modules.flatten",
        "Unflatten",
        extra("dim={dim}, unflattened_size={unflattened_size}"),
    ),
    (
        "torch.nn.modules.fold",
        "Fold",
        extra(
            "output_size={output_size}, kernel_size={kernel_size}, dilation={dilation}, \
             padding={padding}, stride={stride}",
        ),
    ),
    (
        "torch.nn.modules.fold",
        "Unfold",
        extra("kernel_size={kernel_size}, dilation={dilation}, padding={padding}, stride={stride}"),
    ),
    ("torch.nn.modules.pixelshuffle", "PixelShuffle", extra("upscale_factor={upscale_factor}")),
    (
        "torch.nn.modules.pixelshuffle",
        "PixelUnshuffle",
        extra("downscale_factor={downscale_factor}"),
    ),
    ("torch.nn.modules.channelshuffle", "ChannelShuffle", extra("groups={groups}")),
    ("torch.nn.modules.upsampling", "Upsample UpsamplingNearest2d UpsamplingBilinear2d", UPSAMPLE),
    (
        "torch.nn.modules.padding",
        "CircularPad1d CircularPad2d CircularPad3d ReflectionPad1d ReflectionPad2d \
         ReflectionPad3d ReplicationPad1d ReplicationPad2d ReplicationPad3d ZeroPad1d ZeroPad2d \
         ZeroPad3d",
        PADDING,
    ),
    (
        "torch.nn.modules.padding",
        "ConstantPad1d ConstantPad2d ConstantPad3d",
        extra("padding={padding}, value={value}"),
    ),
    (
        "torch.nn.modules.loss",
        "LinearCrossEntropyLoss",
        extra(
            "in_features={linear.in_features}, num_classes={num_classes}, \
             out_features={out_features}, bias={linear.bias?}, reduction={reduction}, \
             ignore_index={ignore_index}, label_smoothing={label_smoothing}, options={options}",
        ),
    ),
    ("torch.nn.modules.container", "ModuleList", LIST),
    ("torch.nn.utils.parametrize", "ParametrizationList", LIST),
    ("torch.nn.modules.container", "ParameterList", rule(Body::ExtraBy(odd::parameter_list))),
    ("torch.nn.modules.container", "ParameterDict", rule(Body::ExtraBy(odd::parameter_dict))),
];
