//! Classes of torchvision. Source: `__repr__` and `extra_repr` in torchvision 0.29.

use super::nn::{CONV, LAYER_NORM};
use super::odd;
use super::{Body, Rows, Rule, rule, whole};

const P: Rule = whole("{class}(p={p})");
const SIZE: Rule = whole("{class}(size={size})");
const POOL: Rule = whole("{class}(output_size={output_size}, spatial_scale={spatial_scale})");
const SETTINGS: Rule = rule(Body::ExtraBy(odd::settings));

pub(super) const ROWS: Rows = &[
    ("torchvision.models.convnext", "LayerNorm2d", LAYER_NORM),
    ("torchvision.models.video.resnet", "Conv3DSimple Conv3DNoTemporal", CONV),
    ("torchvision.ops.misc", "FrozenBatchNorm2d", whole("{class}({weight.shape.0}, eps={eps=0})")),
    (
        "torchvision.ops.drop_block",
        "DropBlock2d DropBlock3d",
        whole("{class}(p={p}, block_size={block_size}, inplace={inplace})"),
    ),
    ("torchvision.ops.stochastic_depth", "StochasticDepth", whole("{class}(p={p}, mode={mode})")),
    ("torchvision.ops.roi_pool", "RoIPool", POOL),
    ("torchvision.ops.ps_roi_pool", "PSRoIPool", POOL),
    (
        "torchvision.ops.roi_align",
        "RoIAlign",
        whole(
            "{class}(output_size={output_size}, spatial_scale={spatial_scale}, \
             sampling_ratio={sampling_ratio}, aligned={aligned=False})",
        ),
    ),
    (
        "torchvision.ops.ps_roi_align",
        "PSRoIAlign",
        whole(
            "{class}(output_size={output_size}, spatial_scale={spatial_scale}, \
             sampling_ratio={sampling_ratio})",
        ),
    ),
    (
        "torchvision.ops.poolers",
        "MultiScaleRoIAlign",
        whole(
            "{class}(featmap_names={featmap_names}, output_size={output_size}, \
             sampling_ratio={sampling_ratio})",
        ),
    ),
    (
        "torchvision.ops.deform_conv",
        "DeformConv2d",
        whole(
            "{class}({in_channels}, {out_channels}, kernel_size={kernel_size}, stride={stride}\
             [padding!=0*|, padding={padding}][dilation!=1*|, dilation={dilation}]\
             [groups!=1|, groups={groups}][!bias?|, bias=False])",
        ),
    ),
    (
        "torchvision.models.detection.anchor_utils",
        "DefaultBoxGenerator",
        whole(
            "{class}(aspect_ratios={aspect_ratios}, clip={clip}, scales={scales}, steps={steps})",
        ),
    ),
    (
        "torchvision.models.detection.transform",
        "GeneralizedRCNNTransform",
        whole(
            "{class}(\n    Normalize(mean={image_mean}, std={image_std})\n    \
             Resize(min_size={min_size}, max_size={max_size}, mode='bilinear')\n)",
        ),
    ),
    ("torchvision.transforms.transforms", "CenterCrop FiveCrop", SIZE),
    (
        "torchvision.transforms.transforms",
        "RandomHorizontalFlip RandomVerticalFlip RandomPerspective RandomGrayscale RandomInvert \
         RandomAutocontrast RandomEqualize",
        P,
    ),
    ("torchvision.transforms.transforms", "Normalize", whole("{class}(mean={mean}, std={std})")),
    (
        "torchvision.transforms.transforms",
        "Resize",
        whole(
            "{class}(size={size}, interpolation={interpolation.value}, max_size={max_size=None}, \
             antialias={antialias=True})",
        ),
    ),
    (
        "torchvision.transforms.transforms",
        "Pad",
        whole("{class}(padding={padding}, fill={fill}, padding_mode={padding_mode})"),
    ),
    (
        "torchvision.transforms.transforms",
        "RandomCrop",
        whole("{class}(size={size}, padding={padding})"),
    ),
    (
        "torchvision.transforms.transforms",
        "TenCrop",
        whole("{class}(size={size}, vertical_flip={vertical_flip})"),
    ),
    (
        "torchvision.transforms.transforms",
        "ColorJitter",
        whole(
            "{class}(brightness={brightness}, contrast={contrast}, saturation={saturation}, \
             hue={hue})",
        ),
    ),
    (
        "torchvision.transforms.transforms",
        "RandomRotation",
        whole(
            "{class}(degrees={degrees}, interpolation={interpolation.value}, expand={expand}\
             [center?|, center={center}][fill?|, fill={fill}])",
        ),
    ),
    (
        "torchvision.transforms.transforms",
        "RandomAffine",
        whole(
            "{class}(degrees={degrees}[translate?|, translate={translate}]\
             [scale?|, scale={scale}][shear?|, shear={shear}]\
             [interpolation.value!=nearest|, interpolation={interpolation.value}]\
             [fill!=0|, fill={fill}][center?|, center={center}])",
        ),
    ),
    (
        "torchvision.transforms.transforms",
        "Grayscale",
        whole("{class}(num_output_channels={num_output_channels})"),
    ),
    (
        "torchvision.transforms.transforms",
        "RandomErasing",
        whole("{class}(p={p}, scale={scale}, ratio={ratio}, value={value}, inplace={inplace})"),
    ),
    (
        "torchvision.transforms.transforms",
        "GaussianBlur",
        whole("{class}(kernel_size={kernel_size}, sigma={sigma})"),
    ),
    ("torchvision.transforms.transforms", "RandomPosterize", whole("{class}(bits={bits},p={p})")),
    (
        "torchvision.transforms.transforms",
        "RandomSolarize",
        whole("{class}(threshold={threshold},p={p})"),
    ),
    (
        "torchvision.transforms.transforms",
        "RandomAdjustSharpness",
        whole("{class}(sharpness_factor={sharpness_factor},p={p})"),
    ),
    (
        "torchvision.transforms.transforms",
        "ElasticTransform",
        whole("{class}(alpha={alpha}, sigma={sigma}, interpolation={interpolation}, fill={fill})"),
    ),
    (
        "torchvision.transforms.autoaugment",
        "AutoAugment",
        whole("{class}(policy={policy}, fill={fill})"),
    ),
    (
        "torchvision.transforms.autoaugment",
        "RandAugment",
        whole(
            "{class}(num_ops={num_ops}, magnitude={magnitude}, \
             num_magnitude_bins={num_magnitude_bins}, interpolation={interpolation}, \
             fill={fill})",
        ),
    ),
    (
        "torchvision.transforms.autoaugment",
        "TrivialAugmentWide",
        whole(
            "{class}(num_magnitude_bins={num_magnitude_bins}, interpolation={interpolation}, \
             fill={fill})",
        ),
    ),
    (
        "torchvision.transforms.autoaugment",
        "AugMix",
        whole(
            "{class}(severity={severity}, mixture_width={mixture_width}, \
             chain_depth={chain_depth}, alpha={alpha}, all_ops={all_ops}, \
             interpolation={interpolation}, fill={fill})",
        ),
    ),
    (
        "torchvision.transforms._presets",
        "ImageClassification VideoClassification",
        whole(
            "{class}(\n    crop_size={crop_size}\n    resize_size={resize_size}\n    \
             mean={mean}\n    std={std}\n    interpolation={interpolation}\n)",
        ),
    ),
    ("torchvision.transforms._presets", "ObjectDetection", whole("{class}()")),
    ("torchvision.transforms.v2._augment", "CutMix JPEG MixUp RandomErasing", SETTINGS),
    (
        "torchvision.transforms.v2._auto_augment",
        "AugMix AutoAugment RandAugment TrivialAugmentWide",
        SETTINGS,
    ),
    (
        "torchvision.transforms.v2._color",
        "ColorJitter Grayscale RGB RandomAdjustSharpness RandomAutocontrast \
         RandomChannelPermutation RandomEqualize RandomGrayscale RandomInvert \
         RandomPhotometricDistort RandomPosterize RandomSolarize",
        SETTINGS,
    ),
    ("torchvision.transforms.v2._container", "RandomChoice RandomOrder", SETTINGS),
    (
        "torchvision.transforms.v2._geometry",
        "CenterCrop ElasticTransform FiveCrop Pad RandomAffine RandomCrop RandomHorizontalFlip \
         RandomIoUCrop RandomPerspective RandomResize RandomResizedCrop RandomRotation \
         RandomShortestSize RandomVerticalFlip RandomZoomOut Resize ScaleJitter TenCrop",
        SETTINGS,
    ),
    (
        "torchvision.transforms.v2._meta",
        "ClampBoundingBoxes ClampKeyPoints ConvertBoundingBoxFormat SetClampingMode",
        SETTINGS,
    ),
    (
        "torchvision.transforms.v2._misc",
        "ConvertImageDtype GaussianBlur GaussianNoise Identity LinearTransformation Normalize \
         SanitizeBoundingBoxes SanitizeKeyPoints ToDtype",
        SETTINGS,
    ),
    ("torchvision.transforms.v2._temporal", "UniformTemporalSubsample", SETTINGS),
    (
        "torchvision.transforms.v2._type_conversion",
        "PILToTensor ToImage ToPILImage ToPureTensor",
        SETTINGS,
    ),
    ("torchvision.transforms.v2._deprecated", "ToTensor", SETTINGS),
];
