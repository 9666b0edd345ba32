//! Common classes of other libraries whose `extra_repr` is a formula over attributes.
//!
//! Compared with timm 1.0 and transformers 5.23; rules for apex, detectron2, peft and bitsandbytes
//! follow their published sources and are not compared. Those of
//! torch_geometric have a [table](super::graphs) of their own.

use super::nn::{
    AVG_POOL, CONV, GROUP_NORM, LAYER_NORM, LINEAR, LIST, MAX_POOL, NORM, PRELU, RMS_NORM,
};
use super::odd;
use super::{Body, Rows, Rule, extra, rule, whole};

/// The norms of language models keep their epsilon under either name.
const MODEL_RMS_NORM: Rule = extra(
    "{weight.shape.tuple}, eps=[variance_epsilon?|{variance_epsilon}]\
     [!variance_epsilon?|{eps}]",
);
const LORA: Rule = Rule::PLAIN.named("lora.*");

pub(super) const ROWS: Rows = &[
    // timm
    ("timm.layers.drop", "DropPath", rule(Body::ExtraBy(odd::drop_path))),
    (
        "timm.layers.adaptive_avgmax_pool",
        "SelectAdaptivePool2d",
        whole("{class}(pool_type={pool_type}, flatten={flatten})"),
    ),
    (
        "timm.layers.norm_act",
        "FrozenBatchNormAct2d",
        whole("{class}({weight.shape.0}, eps={eps}, act={act})"),
    ),
    ("timm.layers.activations", "PReLU", PRELU),
    ("timm.layers.norm_act", "BatchNormAct2d SyncBatchNormAct", NORM),
    ("timm.layers.split_batchnorm", "SplitBatchNorm2d", NORM),
    ("timm.layers.conv2d_same", "Conv2dSame Conv2dSameExport", CONV),
    ("timm.layers.std_conv", "ScaledStdConv2d ScaledStdConv2dSame StdConv2d StdConv2dSame", CONV),
    ("timm.layers.linear", "Linear", LINEAR),
    ("timm.layers.norm", "GroupNorm GroupNorm1", GROUP_NORM),
    ("timm.layers.norm_act", "GroupNormAct GroupNorm1Act", GROUP_NORM),
    ("timm.models.metaformer", "GroupNorm1NoBias", GROUP_NORM),
    (
        "timm.layers.norm",
        "LayerNorm LayerNorm2d LayerNorm2dFp32 LayerNormExp2d LayerNormFp32",
        LAYER_NORM,
    ),
    (
        "timm.layers.norm_act",
        "LayerNormAct LayerNormAct2d LayerNormAct2dFp32 LayerNormActFp32",
        LAYER_NORM,
    ),
    ("timm.models.metaformer", "LayerNorm2dNoBias LayerNormNoBias", LAYER_NORM),
    ("timm.layers.pool2d_same", "AvgPool2dSame", AVG_POOL),
    ("timm.layers.pool2d_same", "MaxPool2dSame", MAX_POOL),
    (
        "timm.models.tiny_vit",
        "TinyVitBlock",
        extra("dim={dim}, num_heads={num_heads}, window_size={window_size}, mlp_ratio={mlp_ratio}"),
    ),
    ("timm.models.tiny_vit", "TinyVitStage", extra("dim={out_dim}, depth={depth}")),
    // transformers: first the norms that are no formula, then the pattern of all others.
    (
        "transformers.models.*",
        "AXK2GatedRMSNorm DiffusionGemmaRMSNorm EmbeddingGemma2RMSNorm Gemma3nRMSNorm \
         Gemma4RMSNorm Gemma4UnifiedRMSNorm *UnweightedRMSNorm Mamba2RMSNorm MuseGlimmerRMSNorm \
         MuseSparkRMSNorm NeoMMERMSNorm xLSTMRMSNorm",
        Rule::PLAIN,
    ),
    ("transformers.models.*", "MambaRMSNorm", extra("{weight.shape.0}, eps={variance_epsilon}")),
    (
        "transformers.models.*",
        "FalconMambaWeightlessRMSNorm NanoChatRMSNorm Llama4TextL2Norm HrmTextRMSNorm \
         EsmFold2RMSNorm",
        extra("eps={eps}"),
    ),
    ("transformers.models.*", "*RMSNorm", MODEL_RMS_NORM),
    ("transformers.models.*", "*DropPath", extra("p={drop_prob}")),
    ("transformers.pytorch_utils", "Conv1D", whole("Conv1D(nf={nf}, nx={nx})")),
    ("transformers.modeling_utils", "Conv1D", whole("Conv1D(nf={nf}, nx={nx})")),
    ("transformers.models.*", "VitPoseNaiveMoe", LIST),
    ("transformers.quantizers.base", "SequentialLlama4TextExperts", LIST),
    (
        "transformers.models.*",
        "IdeficsDecoupledEmbedding",
        extra(
            "num_embeddings={num_embeddings}, \
             num_additional_embeddings={num_additional_embeddings}, \
             embedding_dim={embedding_dim}, partially_freeze={partially_freeze}",
        ),
    ),
    (
        "transformers.models.*",
        "IdeficsDecoupledLinear",
        extra(
            "in_features={in_features}, out_features={out_features}, \
             out_additional_features={out_additional_features}, bias={bias?}, \
             partially_freeze={partially_freeze}",
        ),
    ),
    (
        "transformers.models.*",
        "MaskFormerHungarianMatcher",
        whole(
            "Matcher {class}\n    cost_class: {cost_class}\n    cost_mask: {cost_mask}\n    \
             cost_dice: {cost_dice}",
        ),
    ),
    // einops
    ("einops.layers.torch", "Rearrange Reduce", rule(Body::WholeBy(odd::einops))),
    // detectron2
    (
        "detectron2.layers.batch_norm",
        "FrozenBatchNorm2d",
        whole("{class}(num_features={num_features}, eps={eps})"),
    ),
    ("detectron2.layers.batch_norm", "NaiveSyncBatchNorm", NORM),
    ("detectron2.layers.wrappers", "ConvTranspose2d", CONV),
    // apex
    (
        "apex.normalization.fused_layer_norm",
        "FusedLayerNorm MixedFusedLayerNorm FusedRMSNorm MixedFusedRMSNorm",
        RMS_NORM,
    ),
    // efficientnet_pytorch
    ("efficientnet_pytorch.utils", "Conv2dDynamicSamePadding Conv2dStaticSamePadding", CONV),
    (
        "efficientnet_pytorch.utils",
        "MaxPool2dDynamicSamePadding MaxPool2dStaticSamePadding",
        MAX_POOL,
    ),
    // peft
    ("peft.tuners.lora.layer", "Linear Embedding Conv1d Conv2d Conv3d", LORA),
    // bitsandbytes
    ("bitsandbytes.nn.modules", "Linear8bitLt Linear4bit LinearFP4 LinearNF4", LINEAR),
];
