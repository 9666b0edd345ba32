//! Classes of torch_geometric. Source: `__repr__` in torch_geometric 2.8.1.

use super::odd;
use super::{Body, Rows, Rule, rule, whole};

const CHANNELS: Rule = whole("{class}({in_channels}, {out_channels})");
const BARE: Rule = whole("{class}()");
const HEADS: Rule = whole("{class}({in_channels}, {out_channels}, heads={heads})");
const NETWORK: Rule = whole("{class}(nn={nn})");
const MESSAGE_PASSING: Rule = whole(
    "{class}([out_channels?|{in_channels}, \
             {out_channels}][!out_channels?|[channels?|{channels}]])",
);

pub(super) const ROWS: Rows = &[
    (
        "torch_geometric.nn.aggr.attention",
        "AttentionalAggregation",
        whole(
            "{class}(gate_nn=[gate_mlp?|{gate_mlp}][!gate_mlp?|{gate_nn=None}], \
             nn=[mlp?|{mlp}][!mlp?|{nn=None}])",
        ),
    ),
    ("torch_geometric.nn.aggr.base", "Aggregation", BARE),
    (
        "torch_geometric.nn.aggr.basic",
        "MaxAggregation MeanAggregation MinAggregation MulAggregation StdAggregation \
             SumAggregation VarAggregation",
        BARE,
    ),
    ("torch_geometric.nn.aggr.equilibrium", "EquilibriumAggregation", BARE),
    ("torch_geometric.nn.aggr.fused", "FusedAggregation", BARE),
    ("torch_geometric.nn.aggr.quantile", "MedianAggregation", BARE),
    ("torch_geometric.nn.aggr.scaler", "DegreeScalerAggregation", BARE),
    ("torch_geometric.nn.aggr.variance_preserving", "VariancePreservingAggregation", BARE),
    ("torch_geometric.nn.models.mask_label", "MaskLabel", BARE),
    ("torch_geometric.nn.norm.graph_size_norm", "GraphSizeNorm", BARE),
    ("torch_geometric.nn.norm.mean_subtraction_norm", "MeanSubtractionNorm", BARE),
    ("torch_geometric.nn.norm.pair_norm", "PairNorm", BARE),
    ("torch_geometric.nn.pool.connect.base", "Connect", BARE),
    ("torch_geometric.nn.pool.connect.filter_edges", "FilterEdges", BARE),
    ("torch_geometric.nn.pool.select.base", "Select", BARE),
    (
        "torch_geometric.nn.aggr.basic",
        "PowerMeanAggregation SoftmaxAggregation",
        whole("{class}(learn={learn})"),
    ),
    (
        "torch_geometric.nn.aggr.deep_sets",
        "DeepSetsAggregation",
        whole(
            "{class}(local_nn=[local_mlp?|{local_mlp}][!local_mlp?|{local_nn=None}], \
             global_nn=[global_mlp?|{global_mlp}][!global_mlp?|{global_nn=None}])",
        ),
    ),
    (
        "torch_geometric.nn.aggr.gmt",
        "GraphMultisetTransformer",
        whole(
            "{class}({channels}, k={k}, heads={heads}, layer_norm={layer_norm}, \
             dropout={dropout})",
        ),
    ),
    ("torch_geometric.nn.aggr.gru", "GRUAggregation", CHANNELS),
    ("torch_geometric.nn.aggr.lstm", "LSTMAggregation", CHANNELS),
    ("torch_geometric.nn.aggr.set2set", "Set2Set", CHANNELS),
    ("torch_geometric.nn.conv.le_conv", "LEConv", CHANNELS),
    ("torch_geometric.nn.conv.pdn_conv", "PDNConv", CHANNELS),
    ("torch_geometric.nn.conv.point_transformer_conv", "PointTransformerConv", CHANNELS),
    ("torch_geometric.nn.conv.x_conv", "XConv", CHANNELS),
    ("torch_geometric.nn.dense.dense_gcn_conv", "DenseGCNConv", CHANNELS),
    ("torch_geometric.nn.dense.dense_graph_conv", "DenseGraphConv", CHANNELS),
    ("torch_geometric.nn.dense.dense_sage_conv", "DenseSAGEConv", CHANNELS),
    (
        "torch_geometric.nn.aggr.lcm",
        "LCMAggregation",
        whole("{class}({in_channels}, {out_channels}, project={project})"),
    ),
    (
        "torch_geometric.nn.aggr.mlp",
        "MLPAggregation",
        whole("{class}({in_channels}, {out_channels}, max_num_elements={max_num_elements})"),
    ),
    (
        "torch_geometric.nn.aggr.patch_transformer",
        "PatchTransformerAggregation",
        whole("{class}({in_channels}, {out_channels}, patch_size={patch_size})"),
    ),
    ("torch_geometric.nn.aggr.quantile", "QuantileAggregation", whole("{class}(q={_q})")),
    (
        "torch_geometric.nn.aggr.set_transformer",
        "SetTransformerAggregation",
        whole(
            "{class}({channels}, num_seed_points={num_seed_points}, heads={heads}, \
             layer_norm={layer_norm}, dropout={dropout})",
        ),
    ),
    ("torch_geometric.nn.aggr.sort", "SortAggregation", whole("{class}(k={k})")),
    (
        "torch_geometric.nn.aggr.utils",
        "MultiheadAttentionBlock",
        whole(
            "{class}({channels}, heads={heads}, layer_norm={layer_norm1?}, \
             dropout={dropout})",
        ),
    ),
    (
        "torch_geometric.nn.aggr.utils",
        "SetAttentionBlock",
        whole(
            "{class}({mab.channels}, heads={mab.heads}, layer_norm={mab.layer_norm1?}, \
             dropout={mab.dropout})",
        ),
    ),
    (
        "torch_geometric.nn.attention.performer",
        "PerformerAttention",
        whole("{class}(heads={heads}, head_channels={head_channels} kernel={kernel})"),
    ),
    (
        "torch_geometric.nn.attention.polynormer",
        "PolynormerAttention",
        whole("{class}(heads={heads}, head_channels={head_channels})"),
    ),
    (
        "torch_geometric.nn.attention.sgformer",
        "SGFormerAttention",
        whole("{class}(heads={heads}, head_channels={head_channels})"),
    ),
    (
        "torch_geometric.nn.attention.qformer",
        "QFormer",
        whole("{class}(num_heads={num_heads}, num_layers={num_layers})"),
    ),
    ("torch_geometric.nn.conv.agnn_conv", "AGNNConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.gcn_conv", "GCNConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.general_conv", "GeneralConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.graph_conv", "GraphConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.hypergraph_conv", "HypergraphConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.lg_conv", "LGConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.meshcnn_conv", "MeshCNNConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.message_passing", "MessagePassing", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.mf_conv", "MFConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.res_gated_graph_conv", "ResGatedGraphConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.simple_conv", "SimpleConv", MESSAGE_PASSING),
    ("torch_geometric.nn.conv.wl_conv_continuous", "WLConvContinuous", MESSAGE_PASSING),
    ("torch_geometric.nn.models.attentive_fp", "GATEConv", MESSAGE_PASSING),
    ("torch_geometric.nn.models.linkx", "SparseLinear", MESSAGE_PASSING),
    ("torch_geometric.nn.models.schnet", "CFConv", MESSAGE_PASSING),
    ("torch_geometric.nn.models.visnet", "NeighborEmbedding ViS_MP ViS_MP_Vertex", MESSAGE_PASSING),
    (
        "torch_geometric.nn.conv.antisymmetric_conv",
        "AntiSymmetricConv",
        whole(
            "{class}({in_channels}, phi={phi}, num_iters={num_iters}, epsilon={epsilon}, \
             gamma={gamma})",
        ),
    ),
    ("torch_geometric.nn.conv.appnp", "APPNP", whole("{class}(K={K}, alpha={alpha})")),
    (
        "torch_geometric.nn.conv.arma_conv",
        "ARMAConv",
        whole(
            "{class}({in_channels}, {out_channels}, num_stacks={num_stacks}, \
             num_layers={num_layers})",
        ),
    ),
    ("torch_geometric.nn.conv.cg_conv", "CGConv", whole("{class}({channels}, dim={dim})")),
    (
        "torch_geometric.nn.conv.cheb_conv",
        "ChebConv",
        whole(
            "{class}({in_channels}, {out_channels}, K={lins.len}, \
             normalization={normalization})",
        ),
    ),
    (
        "torch_geometric.nn.conv.cluster_gcn_conv",
        "ClusterGCNConv",
        whole("{class}({in_channels}, {out_channels}, diag_lambda={diag_lambda})"),
    ),
    ("torch_geometric.nn.conv.cugraph.gat_conv", "CuGraphGATConv", HEADS),
    ("torch_geometric.nn.conv.feast_conv", "FeaStConv", HEADS),
    ("torch_geometric.nn.conv.fused_gat_conv", "FusedGATConv", HEADS),
    ("torch_geometric.nn.conv.gat_conv", "GATConv", HEADS),
    ("torch_geometric.nn.conv.gatv2_conv", "GATv2Conv", HEADS),
    ("torch_geometric.nn.conv.heat_conv", "HEATConv", HEADS),
    ("torch_geometric.nn.conv.rgat_conv", "RGATConv", HEADS),
    ("torch_geometric.nn.conv.transformer_conv", "TransformerConv", HEADS),
    ("torch_geometric.nn.dense.dense_gat_conv", "DenseGATConv", HEADS),
    ("torch_geometric.nn.models.lpformer", "LPAttLayer", HEADS),
    (
        "torch_geometric.nn.conv.cugraph.rgcn_conv",
        "CuGraphRGCNConv",
        whole("{class}({in_channels}, {out_channels}, num_relations={num_relations})"),
    ),
    (
        "torch_geometric.nn.conv.film_conv",
        "FiLMConv",
        whole("{class}({in_channels}, {out_channels}, num_relations={num_relations})"),
    ),
    (
        "torch_geometric.nn.conv.rgcn_conv",
        "FastRGCNConv RGCNConv",
        whole("{class}({in_channels}, {out_channels}, num_relations={num_relations})"),
    ),
    (
        "torch_geometric.nn.conv.cugraph.sage_conv",
        "CuGraphSAGEConv",
        whole("{class}({in_channels}, {out_channels}, aggr={aggr})"),
    ),
    (
        "torch_geometric.nn.conv.gen_conv",
        "GENConv",
        whole("{class}({in_channels}, {out_channels}, aggr={aggr})"),
    ),
    (
        "torch_geometric.nn.conv.sage_conv",
        "SAGEConv",
        whole("{class}({in_channels}, {out_channels}, aggr={aggr})"),
    ),
    (
        "torch_geometric.nn.conv.dir_gnn_conv",
        "DirGNNConv",
        whole("{class}({conv_in}, alpha={alpha})"),
    ),
    ("torch_geometric.nn.conv.dna_conv", "Attention", whole("{class}(dropout={dropout})")),
    (
        "torch_geometric.nn.conv.dna_conv",
        "DNAConv",
        whole(
            "{class}({multi_head.in_channels}, heads={multi_head.heads}, \
             groups={multi_head.groups})",
        ),
    ),
    (
        "torch_geometric.nn.conv.dna_conv",
        "Linear",
        whole("{class}({in_channels}, {out_channels}, groups={groups})"),
    ),
    (
        "torch_geometric.nn.conv.dna_conv",
        "MultiHead",
        whole(
            "{class}({in_channels}, {out_channels}, heads={heads}, groups={groups}, \
             dropout={dropout}, bias={bias})",
        ),
    ),
    ("torch_geometric.nn.conv.edge_conv", "DynamicEdgeConv", whole("{class}(nn={nn}, k={k})")),
    ("torch_geometric.nn.conv.edge_conv", "EdgeConv", NETWORK),
    ("torch_geometric.nn.conv.gin_conv", "GINConv GINEConv", NETWORK),
    ("torch_geometric.nn.dense.dense_gin_conv", "DenseGINConv", NETWORK),
    (
        "torch_geometric.nn.conv.eg_conv",
        "EGConv",
        whole("{class}({in_channels}, {out_channels}, aggregators={aggregators})"),
    ),
    ("torch_geometric.nn.conv.fa_conv", "FAConv", whole("{class}({channels}, eps={eps})")),
    (
        "torch_geometric.nn.conv.gated_graph_conv",
        "GatedGraphConv",
        whole("{class}({out_channels}, num_layers={num_layers})"),
    ),
    (
        "torch_geometric.nn.conv.gcn2_conv",
        "GCN2Conv",
        whole("{class}({channels}, alpha={alpha}, beta={beta})"),
    ),
    (
        "torch_geometric.nn.conv.gmm_conv",
        "GMMConv",
        whole("{class}({in_channels}, {out_channels}, dim={dim})"),
    ),
    (
        "torch_geometric.nn.conv.spline_conv",
        "SplineConv",
        whole("{class}({in_channels}, {out_channels}, dim={dim})"),
    ),
    (
        "torch_geometric.nn.conv.gps_conv",
        "GPSConv",
        whole("{class}({channels}, conv={conv}, heads={heads}, attn_type={attn_type})"),
    ),
    (
        "torch_geometric.nn.conv.gravnet_conv",
        "GravNetConv",
        whole("{class}({in_channels}, {out_channels}, k={k})"),
    ),
    (
        "torch_geometric.nn.conv.han_conv",
        "HANConv",
        whole("{class}({out_channels}, heads={heads})"),
    ),
    (
        "torch_geometric.nn.conv.hetero_conv",
        "HeteroConv",
        whole("{class}(num_relations={convs.len})"),
    ),
    (
        "torch_geometric.nn.conv.hgt_conv",
        "HGTConv",
        whole("{class}(-1, {out_channels}, heads={heads})"),
    ),
    (
        "torch_geometric.nn.conv.mixhop_conv",
        "MixHopConv",
        whole("{class}({in_channels}, {out_channels}, powers={powers})"),
    ),
    (
        "torch_geometric.nn.conv.nn_conv",
        "NNConv",
        whole("{class}({in_channels}, {out_channels}, aggr={aggr}, nn={nn})"),
    ),
    (
        "torch_geometric.nn.conv.pan_conv",
        "PANConv",
        whole("{class}({in_channels}, {out_channels}, filter_size={filter_size})"),
    ),
    (
        "torch_geometric.nn.conv.pna_conv",
        "PNAConv",
        whole("{class}({in_channels}, {out_channels}, towers={towers}, edge_dim={edge_dim})"),
    ),
    (
        "torch_geometric.nn.conv.point_conv",
        "PointNetConv",
        whole("{class}(local_nn={local_nn}, global_nn={global_nn})"),
    ),
    (
        "torch_geometric.nn.conv.ppf_conv",
        "PPFConv",
        whole("{class}(local_nn={local_nn}, global_nn={global_nn})"),
    ),
    (
        "torch_geometric.nn.conv.point_gnn_conv",
        "PointGNNConv",
        whole("{class}(\n  mlp_h={mlp_h},\n  mlp_f={mlp_f},\n  mlp_g={mlp_g},\n)"),
    ),
    (
        "torch_geometric.nn.conv.sg_conv",
        "SGConv",
        whole("{class}({in_channels}, {out_channels}, K={K})"),
    ),
    (
        "torch_geometric.nn.conv.tag_conv",
        "TAGConv",
        whole("{class}({in_channels}, {out_channels}, K={K})"),
    ),
    (
        "torch_geometric.nn.conv.signed_conv",
        "SignedConv",
        whole("{class}({in_channels}, {out_channels}, first_aggr={first_aggr})"),
    ),
    (
        "torch_geometric.nn.conv.ssg_conv",
        "SSGConv",
        whole("{class}({in_channels}, {out_channels}, K={K}, alpha={alpha})"),
    ),
    (
        "torch_geometric.nn.conv.supergat_conv",
        "SuperGATConv",
        whole("{class}({in_channels}, {out_channels}, heads={heads}, type={attention_type})"),
    ),
    (
        "torch_geometric.nn.dense.dmon_pool",
        "DMoNPooling",
        whole("{class}({mlp.in_channels}, num_clusters={mlp.out_channels})"),
    ),
    (
        "torch_geometric.nn.dense.linear",
        "HeteroDictLinear",
        whole("{class}({in_channels}, {out_channels}, bias={kwargs.bias=True})"),
    ),
    (
        "torch_geometric.nn.dense.linear",
        "HeteroLinear",
        whole(
            "{class}({in_channels}, {out_channels}, num_types={num_types}, \
             bias={kwargs.bias=True})",
        ),
    ),
    (
        "torch_geometric.nn.dense.linear",
        "Linear",
        whole("{class}({in_channels}, {out_channels}, bias={bias?})"),
    ),
    (
        "torch_geometric.nn.encoding",
        "PositionalEncoding TemporalEncoding",
        whole("{class}({out_channels})"),
    ),
    (
        "torch_geometric.nn.kge.base",
        "KGEModel",
        whole(
            "{class}({num_nodes}, num_relations={num_relations}, \
             hidden_channels={hidden_channels})",
        ),
    ),
    (
        "torch_geometric.nn.kge.complex",
        "ComplEx",
        whole(
            "{class}({num_nodes}, num_relations={num_relations}, \
             hidden_channels={hidden_channels})",
        ),
    ),
    (
        "torch_geometric.nn.kge.distmult",
        "DistMult",
        whole(
            "{class}({num_nodes}, num_relations={num_relations}, \
             hidden_channels={hidden_channels})",
        ),
    ),
    (
        "torch_geometric.nn.kge.rotate",
        "RotatE",
        whole(
            "{class}({num_nodes}, num_relations={num_relations}, \
             hidden_channels={hidden_channels})",
        ),
    ),
    (
        "torch_geometric.nn.kge.transe",
        "TransE",
        whole(
            "{class}({num_nodes}, num_relations={num_relations}, \
             hidden_channels={hidden_channels})",
        ),
    ),
    (
        "torch_geometric.nn.models.attentive_fp",
        "AttentiveFP",
        whole(
            "{class}(in_channels={in_channels}, hidden_channels={hidden_channels}, \
             out_channels={out_channels}, edge_dim={edge_dim}, num_layers={num_layers}, \
             num_timesteps={num_timesteps})",
        ),
    ),
    (
        "torch_geometric.nn.models.basic_gnn",
        "BasicGNN EdgeCNN GAT GCN GIN GraphSAGE PNA",
        whole("{class}({in_channels}, {out_channels}, num_layers={num_layers})"),
    ),
    (
        "torch_geometric.nn.models.neural_fingerprint",
        "NeuralFingerprint",
        whole("{class}({in_channels}, {out_channels}, num_layers={num_layers})"),
    ),
    (
        "torch_geometric.nn.models.pmlp",
        "PMLP",
        whole("{class}({in_channels}, {out_channels}, num_layers={num_layers})"),
    ),
    (
        "torch_geometric.nn.models.deep_graph_infomax",
        "DeepGraphInfomax",
        whole("{class}({hidden_channels})"),
    ),
    ("torch_geometric.nn.models.deepgcn", "DeepGCNLayer", whole("{class}(block={block})")),
    (
        "torch_geometric.nn.models.graph_mixer",
        "LinkEncoder",
        whole(
            "{class}(k={k}, in_channels={in_channels}, \
             hidden_channels={hidden_channels}, out_channels={out_channels}, \
             time_channels={time_channels}, dropout={dropout})",
        ),
    ),
    (
        "torch_geometric.nn.models.graph_mixer",
        "NodeEncoder",
        whole("{class}(time_window={time_window})"),
    ),
    (
        "torch_geometric.nn.models.graph_unet",
        "GraphUNet",
        whole(
            "{class}({in_channels}, {hidden_channels}, {out_channels}, depth={depth}, \
             pool_ratios={pool_ratios})",
        ),
    ),
    (
        "torch_geometric.nn.models.jumping_knowledge",
        "JumpingKnowledge",
        whole("{class}({mode}[mode==lstm|, channels={channels}, layers={num_layers}])"),
    ),
    (
        "torch_geometric.nn.models.label_prop",
        "LabelPropagation",
        whole("{class}(num_layers={num_layers}, alpha={alpha})"),
    ),
    (
        "torch_geometric.nn.models.lightgcn",
        "LightGCN",
        whole("{class}({num_nodes}, {embedding_dim}, num_layers={num_layers})"),
    ),
    (
        "torch_geometric.nn.models.linkx",
        "LINKX",
        whole(
            "{class}(num_nodes={num_nodes}, in_channels={in_channels}, \
             out_channels={out_channels})",
        ),
    ),
    (
        "torch_geometric.nn.models.meta",
        "MetaLayer",
        whole(
            "{class}(\n  edge_model={edge_model},\n  node_model={node_model},\n  global_model={global_model}\n)",
        ),
    ),
    (
        "torch_geometric.nn.models.node2vec",
        "Node2Vec",
        whole("{class}({embedding.weight.shape.0}, {embedding.weight.shape.1})"),
    ),
    (
        "torch_geometric.nn.models.rect",
        "RECT_L",
        whole("{class}({in_channels}, {hidden_channels})"),
    ),
    (
        "torch_geometric.nn.models.schnet",
        "SchNet",
        whole(
            "{class}(hidden_channels={hidden_channels}, num_filters={num_filters}, \
             num_interactions={num_interactions}, num_gaussians={num_gaussians}, \
             cutoff={cutoff})",
        ),
    ),
    (
        "torch_geometric.nn.models.signed_gcn",
        "SignedGCN",
        whole("{class}({in_channels}, {hidden_channels}, num_layers={num_layers})"),
    ),
    (
        "torch_geometric.nn.norm.batch_norm",
        "BatchNorm",
        whole(
            "{class}({module.num_features}, eps={module.eps}, \
             momentum={module.momentum}, affine={module.affine}, bias={module.bias?}, \
             track_running_stats={module.track_running_stats})",
        ),
    ),
    (
        "torch_geometric.nn.norm.batch_norm",
        "HeteroBatchNorm",
        whole("{class}({in_channels}, num_types={num_types})"),
    ),
    (
        "torch_geometric.nn.norm.layer_norm",
        "HeteroLayerNorm",
        whole("{class}({in_channels}, num_types={num_types})"),
    ),
    (
        "torch_geometric.nn.norm.diff_group_norm",
        "DiffGroupNorm",
        whole("{class}({in_channels}, groups={groups})"),
    ),
    ("torch_geometric.nn.norm.graph_norm", "GraphNorm", whole("{class}({in_channels})")),
    ("torch_geometric.nn.pool.cluster_pool", "ClusterPooling", whole("{class}({in_channels})")),
    ("torch_geometric.nn.pool.edge_pool", "EdgePooling", whole("{class}({in_channels})")),
    ("torch_geometric.nn.norm.instance_norm", "InstanceNorm", whole("{class}({num_features})")),
    (
        "torch_geometric.nn.norm.layer_norm",
        "LayerNorm",
        whole("{class}({in_channels}, affine={affine}, mode={mode})"),
    ),
    (
        "torch_geometric.nn.norm.msg_norm",
        "MessageNorm",
        whole("{class}(learn_scale={scale.requires_grad})"),
    ),
    ("torch_geometric.nn.pool.asap", "ASAPooling", whole("{class}({in_channels}, ratio={ratio})")),
    (
        "torch_geometric.nn.pool.mem_pool",
        "MemPooling",
        whole(
            "{class}({in_channels}, {out_channels}, heads={heads}, \
             num_clusters={num_clusters})",
        ),
    ),
    (
        "torch_geometric.nn.pool.pan_pool",
        "PANPooling",
        whole(
            "{class}({in_channels}, \
             [!min_score?|ratio={ratio}][min_score?|min_score={min_score}], \
             multiplier={multiplier})",
        ),
    ),
    (
        "torch_geometric.nn.pool.topk_pool",
        "TopKPooling",
        whole(
            "{class}({in_channels}, \
             [!min_score?|ratio={ratio}][min_score?|min_score={min_score}], \
             multiplier={multiplier})",
        ),
    ),
    (
        "torch_geometric.nn.pool.sag_pool",
        "SAGPooling",
        whole(
            "{class}({gnn.typename}, {in_channels}, \
             [!min_score?|ratio={ratio}][min_score?|min_score={min_score}], \
             multiplier={multiplier})",
        ),
    ),
    (
        "torch_geometric.nn.pool.select.topk",
        "SelectTopK",
        whole(
            "{class}({in_channels}, \
             [!min_score?|ratio={ratio}][min_score?|min_score={min_score}])",
        ),
    ),
    (
        "torch_geometric.nn.to_hetero_with_bases_transformer",
        "HeteroBasisConv",
        whole("{class}(num_relations={num_relations}, num_bases={num_bases})"),
    ),
    ("torch_geometric.nn.models.mlp", "MLP", rule(Body::WholeBy(odd::channels))),
];
