"""Writes tests/fixtures/containers: one file or folder for each way in which PyTorch keeps
tensors, and NAME.json with what PyTorch says of it after loading it.

Usage: python containers.py [FOLDER [STEP…]]; without steps the folder is made anew.

PyTorch 2.15, CPython 3.11. No PyTorch writes the tar archive of before 0.1.10 any more, nor
storages that are pieces of others: both are built here by their specification, and loaded by
PyTorch's own `torch.load`. Archives are packed again by CPython's zipfile.
"""

import collections
import copyreg
import hashlib
import io
import itertools
import json
import pathlib
import pickle
import shutil
import struct
import sys
import tarfile
import types
import zipfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
from torch import nn
from torch._export.serde.schema import SCHEMA_VERSION
from torch._export.serde.serialize import serialize
from torch.distributed.checkpoint.default_planner import _EmptyStateDictLoadPlanner
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import (
    ChunkStorageMetadata, Metadata, MetadataIndex, TensorProperties, TensorStorageMetadata,
)
from torch.distributed.checkpoint.state_dict_loader import _load_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Shard, distribute_tensor
from torch.package import PackageExporter, PackageImporter

OUT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parents[1] / "fixtures/containers"
sys.path.insert(0, str(OUT.parent))
import make  # noqa: E402

# Records


def record(name, file, container, tensors, extra=(), root=None, error=None):
    """Writes what PyTorch says of `file`."""
    (OUT / f"{name}.json").write_text(json.dumps({
        "file": file,
        "container": container,
        "torch": torch.__version__,
        "error": error,
        "repr": str(root) if isinstance(root, nn.Module) else None,
        "tensors": [make.describe(*found) for found in tensors],
        "extra_tensors": [make.describe(*found) for found in extra],
    }, indent=1) + "\n")


def record_loaded(name, file, container):
    """As `torch.load` says."""
    try:
        value = torch.load(OUT / file, weights_only=False)
    except Exception as why:  # noqa: BLE001
        record(name, file, container, [], error=f"{type(why).__name__}: {str(why).splitlines()[0]}")
    else:
        record(name, file, container, make.held_tensors(value), root=value)


# tar: by PyTorch 0.1.9's torch/serialization.py


def save_tar(path, value, protocol=2):
    """`save` of before 0.1.10."""
    storages, tensors, views, classes_seen = {}, {}, {}, set()

    def keep(storage, dtype):
        whole = storage._cdata
        storages.setdefault(whole, (storage, dtype))
        return whole

    def persistent_id(thing):
        if isinstance(thing, torch.Tensor) and not isinstance(thing, nn.Parameter):
            tensors[thing._cdata] = thing
            keep(thing.untyped_storage(), thing.dtype)
            return str(thing._cdata)
        if isinstance(thing, torch.storage.TypedStorage):
            return str(keep(thing._untyped_storage, thing.dtype))
        if isinstance(thing, type) and issubclass(thing, nn.Module) and thing not in classes_seen:
            classes_seen.add(thing)
            return (thing, None, None)
        return None

    class Pickler(pickle._Pickler):
        def persistent_id(self, thing):
            return persistent_id(thing)

        def reducer_override(self, thing):
            # 0.1.9's torch/autograd/variable.py and torch/nn/modules/module.py.
            if isinstance(thing, nn.Parameter):
                return type(thing), (thing.data,), (thing.requires_grad, False, collections.OrderedDict())
            if isinstance(thing, nn.Module):
                state = {name: value for name, value in thing.__dict__.items() if name in OF_MODULES or name[0] != "_"}
                return copyreg.__newobj__, (type(thing),), state
            return NotImplemented

    holder = io.BytesIO()
    Pickler(holder, protocol=protocol).dump(value)
    classes = {torch.float32: "Float", torch.float64: "Double", torch.int64: "Long", torch.uint8: "Byte"}
    storages_file = io.BytesIO()
    pickle.dump(len(storages), storages_file, protocol)
    for key, (storage, dtype) in storages.items():
        storage_class = getattr(torch, f"{classes[dtype]}Storage")
        pickle.dump((key, "cpu", storage_class), storages_file, protocol)
        width = torch.empty((), dtype=dtype).element_size()
        storages_file.write(struct.pack("<q", storage.nbytes() // width))
        storages_file.write(bytes(storage))
    # A tensor over a piece of a storage, which had a storage of its own then.
    for key, (whole, offset, numel, tensor) in PIECES.items():
        views[key] = (keep(whole, tensor.dtype), offset, numel)
    pickle.dump([(key, *view) for key, view in views.items()], storages_file, protocol)
    tensors_file = io.BytesIO()
    pickle.dump(len(tensors), tensors_file, protocol)
    for key, tensor in tensors.items():
        piece = next((k for k, (*_, t) in PIECES.items() if t is tensor), None)
        storage, offset = (piece, 0) if piece else (tensor.untyped_storage()._cdata, tensor.storage_offset())
        tensor_class = getattr(torch, f"{classes[tensor.dtype]}Tensor")
        pickle.dump((key, storage, tensor_class), tensors_file, protocol)
        tensors_file.write(struct.pack("<i", tensor.dim()) + b"\0" * 4)
        tensors_file.write(struct.pack(f"<{tensor.dim()}q", *tensor.size()))
        tensors_file.write(struct.pack(f"<{tensor.dim()}q", *tensor.stride()))
        tensors_file.write(struct.pack("<q", offset))
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as tar:
        members = {"sys_info": pickle.dumps({"protocol_version": 1000, "little_endian": True}, protocol)}
        members |= {"pickle": holder.getvalue()}
        members |= {"tensors": tensors_file.getvalue(), "storages": storages_file.getvalue()}
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            # As CPython takes it from the file: a float, which goes into a pax header.
            info.size, info.mtime = len(data), 1484000000.25
            tar.addfile(info, io.BytesIO(data))


PIECES = {}
# What modules had in 0.1 beside the attributes of their classes.
OF_MODULES = {"_parameters", "_buffers", "_backward_hooks", "_forward_hooks", "_modules"}


def tars():
    base = torch.arange(12.0).reshape(3, 4)
    whole = torch.arange(10, dtype=torch.int64)
    piece = whole[4:7]
    PIECES[999] = (whole.untyped_storage(), 4, 3, piece)
    value = collections.OrderedDict(
        base=base, turned=base.t(), row=base[1], whole=whole, piece=piece,
        bytes=torch.tensor([1, 2, 255], dtype=torch.uint8), none=torch.empty(0),
        nested=[torch.full((2, 1), -0.5, dtype=torch.float64), {"epoch": 3}],
    )
    save_tar(OUT / "tar.pth", value)
    record_loaded("tar", "tar.pth", "tar")
    PIECES.clear()
    torch.manual_seed(1)
    model = nn.Sequential(collections.OrderedDict(
        conv=nn.Conv2d(1, 2, 3, padding=1), norm=nn.BatchNorm2d(2), act=nn.LeakyReLU(0.2),
        tail=nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.25), nn.Linear(2, 2)),
    ))
    # The batches that a norm has seen are counted since 0.4.
    del model.norm._buffers["num_batches_tracked"]
    model.tail[2].weight = model.tail[0].weight
    model.tail[0].bias.requires_grad = False
    save_tar(OUT / "tar_module.pth", model.eval())
    record_loaded("tar_module", "tar_module.pth", "tar")


# Storages that are pieces of others: PyTorch 0.2 to 1.0 wrote them


def pieces():
    whole = torch.arange(8.0)

    class Pickler(pickle._Pickler):
        def persistent_id(self, thing):
            if isinstance(thing, tuple) and thing and thing[0] == "piece":
                _, offset, numel = thing
                view = ("77", offset, numel) if offset is not None else None
                return ("storage", torch.FloatStorage, "5", "cpu", 8, view)
            return None

    class Made:
        def __init__(self, offset, numel, size, stride):
            self.args = (("piece", offset, numel), 0, size, stride, False, collections.OrderedDict())

        def __reduce__(self):
            return torch._utils._rebuild_tensor_v2, self.args

    def file(little):
        out = io.BytesIO()
        pickle.dump(0x1950A86A20F9469CFC6C, out, 2)
        pickle.dump(1001, out, 2)
        pickle.dump({"protocol_version": 1001, "little_endian": little, "type_sizes": {"long": 4}}, out, 2)
        Pickler(out, 2).dump({"whole": Made(None, None, (8,), (1,)), "piece": Made(2, 3, (3,), (1,))})
        pickle.dump(["5"], out, 2)
        out.write(struct.pack("<q", 8) + make.raw_bytes(whole))
        return out.getvalue()

    (OUT / "pieces.pth").write_bytes(file(True))
    record_loaded("pieces", "pieces.pth", "legacy")
    # What a big-endian machine wrote: its numbers are little-endian too.
    (OUT / "big_endian_legacy.pth").write_bytes(file(False))
    record_loaded("big_endian_legacy", "big_endian_legacy.pth", "legacy")


# Plain pickles


def embedded():
    base = torch.arange(6.0).reshape(2, 3)
    value = {"base": base, "turned": base.t(), "long": torch.ones(3, dtype=torch.int64), "half": torch.ones(1).half()}
    for protocol in (0, 2, 4, 5):
        name = f"embedded_{protocol}"
        (OUT / f"{name}.pkl").write_bytes(pickle.dumps(value, protocol))
        loaded = pickle.loads((OUT / f"{name}.pkl").read_bytes())
        record(name, f"{name}.pkl", "pickle", make.held_tensors(loaded))
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    (OUT / "embedded_module.pkl").write_bytes(pickle.dumps(model))
    loaded = pickle.loads((OUT / "embedded_module.pkl").read_bytes())
    record("embedded_module", "embedded_module.pkl", "pickle", make.held_tensors(loaded), root=loaded)


# TorchScript


class Scripted(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.BatchNorm1d(4))
        self.blocks = nn.ModuleList([nn.Linear(4, 4, bias=False), nn.Linear(4, 4)])
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("lost", torch.full((4,), 2.0), persistent=False)
        self.frozen = nn.Parameter(torch.zeros(4), requires_grad=False)
        self.plain = torch.arange(4.0)
        self.table: dict[str, torch.Tensor] = {"k": torch.zeros(4)}
        self.list: list[torch.Tensor] = [torch.ones(4), torch.ones(4)]
        self.tied = self.linear

    def forward(self, x):
        x = self.body(self.linear(x)) * self.scale + self.lost + self.frozen + self.plain + self.table["k"]
        for block in self.blocks:
            x = block(x)
        return x + self.list[0] + self.tied.bias


class Constant(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.plain = torch.arange(4.0)

    def forward(self, x):
        return self.linear(x) + self.plain + torch.tensor([1.0, 2.0, 3.0, 4.0])


def quantized():
    """Convolutions of it pickle themselves as tuples."""
    model = torch.ao.quantization.QuantWrapper(nn.Sequential(nn.Conv2d(2, 3, 2), nn.ReLU())).eval()
    model.qconfig = torch.ao.quantization.default_qconfig
    torch.ao.quantization.prepare(model, inplace=True)
    model(torch.rand(1, 2, 4, 4))
    return torch.ao.quantization.convert(model)


def script_tensors(module):
    parameters = dict(module.named_parameters(remove_duplicate=False))
    for name, tensor in module.state_dict(keep_vars=True).items():
        yield name, tensor, "parameter" if name in parameters else "buffer"


def scripts():
    torch.manual_seed(0)
    modules = {
        "script": torch.jit.script(Scripted()),
        "trace": torch.jit.trace(Constant(), torch.ones(1, 3)),
        "quantized_script": torch.jit.script(quantized()),
        "frozen": torch.jit.freeze(torch.jit.script(Scripted().eval())),
    }
    for name, module in modules.items():
        torch.jit.save(module, OUT / f"{name}.pt")
        loaded = torch.jit.load(OUT / f"{name}.pt")
        record(name, f"{name}.pt", "torchscript", script_tensors(loaded), root=loaded)


# torch.package, torch.export


def packages():
    torch.manual_seed(0)
    shared = torch.arange(4.0)
    with PackageExporter(OUT / "package.pt") as out:
        out.intern("**")
        out.extern("torch.**")
        out.save_pickle("model", "model.pkl", nn.Sequential(nn.Linear(3, 2)))
        out.save_pickle("extra.data", "state", {"t": shared, "row": shared[1:3]})
        out.save_text("extra", "note.txt", "no pickle")
    importer = PackageImporter(OUT / "package.pt")
    held = {
        "model/model.pkl": importer.load_pickle("model", "model.pkl"),
        "extra/data/state": importer.load_pickle("extra.data", "state"),
    }
    record("package", "package.pt", "package", make.held_tensors(held))


def exports():
    torch.manual_seed(0)

    class Exported(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 4)
            self.other = nn.Linear(3, 4, bias=False, dtype=torch.bfloat16)
            self.tied = self.linear
            self.register_buffer("buffer", torch.arange(4))
            self.register_buffer("lost", torch.ones(4), persistent=False)
            self.plain = torch.arange(8.0).reshape(2, 4).t()

        def forward(self, x):
            return self.linear(x) + self.buffer + self.lost + self.plain[:, 1] + self.other.weight.float().sum() + self.tied.bias

    program = torch.export.export(Exported(), (torch.ones(2, 3),))
    # Paths of this machine.
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, OUT / "export.pt2")
    loaded = torch.export.load(OUT / "export.pt2")
    tensors = [(n, t, "parameter" if isinstance(t, nn.Parameter) else None) for n, t in loaded.state_dict.items()]
    extra = [(f"constants.{n}", t, None) for n, t in loaded.constants.items()]
    extra += [(f"sample_inputs.0.{i}", t, None) for i, t in enumerate(loaded.example_inputs[0])]
    record("export", "export.pt2", "export", tensors, extra)
    # The layout before 2.8, which `torch.export.load` reads still.
    parts = serialize(program)
    with zipfile.ZipFile(OUT / "export_old.pt2", "w") as archive:
        archive.writestr("version", ".".join(map(str, SCHEMA_VERSION)))
        archive.writestr("serialized_exported_program.json", parts.exported_program)
        archive.writestr("serialized_state_dict.pt", parts.state_dict)
        archive.writestr("serialized_constants.pt", parts.constants)
        archive.writestr("serialized_example_inputs.pt", parts.example_inputs)
    loaded = torch.export.load(OUT / "export_old.pt2")
    tensors = [(n, t, "parameter" if isinstance(t, nn.Parameter) else None) for n, t in loaded.state_dict.items()]
    extra = [(f"constants.{n}", t, None) for n, t in loaded.constants.items()]
    extra += [(f"sample_inputs.0.{i}", t, None) for i, t in enumerate(loaded.example_inputs[0])]
    record("export_old", "export_old.pt2", "export", tensors, extra)


# Several files


def sharded():
    folder = OUT / "sharded"
    folder.mkdir()
    torch.manual_seed(0)
    first = {"a.weight": torch.rand(2, 3), "a.bias": torch.rand(2)}
    second = {"b.weight": torch.rand(3, 2).t(), "c": torch.arange(4)}
    names = [f"pytorch_model-0000{i}-of-00002.bin" for i in (1, 2)]
    torch.save(first, folder / names[0])
    torch.save(second, folder / names[1], _use_new_zipfile_serialization=False)
    order = ["b.weight", "a.weight", "a.bias", "c"]
    index = {"metadata": {"total_size": 80}, "weight_map": {k: names[k not in first] for k in order}}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index, indent=2) + "\n")
    loaded = torch.load(folder / names[0]) | torch.load(folder / names[1])
    found = [(name, loaded[name], None) for name in order]
    record("sharded", "sharded/pytorch_model.bin.index.json", "sharded", found)


def loaded_dcp(folder):
    state = {}
    _load_state_dict(state, storage_reader=dcp.FileSystemReader(folder), planner=_EmptyStateDictLoadPlanner(), no_dist=True)
    return state


def dcp_worker(rank, folder, port):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    full = {
        "rows": (torch.arange(15.0).reshape(5, 3), 0),
        "columns": (torch.arange(24).reshape(2, 3, 4), 2),
        "middle": (torch.arange(24.0, dtype=torch.float64).reshape(2, 3, 4), 1),
        "few": (torch.arange(1.0), 0),
    }
    state = {name: distribute_tensor(t, mesh, [Shard(dim)]) for name, (t, dim) in full.items()}
    state |= {"replicated": torch.arange(3.0), "optimizer": {"step": 7, "groups": [{"lr": 0.5}]}}
    dcp.save(state, checkpoint_id=folder)
    dist.destroy_process_group()


def distributed():
    base = torch.arange(12.0).reshape(3, 4)
    state = {
        "weight": base, "turned": base.t(), "scalar": torch.tensor(3.5), "none": torch.empty(0, 3),
        "half": torch.ones(2, 2, dtype=torch.bfloat16), "nested": {"list": [torch.zeros(1), "text"], "step": 5},
    }
    dcp.save(state, checkpoint_id=OUT / "dcp_one", no_dist=True)
    record("dcp_one", "dcp_one", "distributed", make.held_tensors(loaded_dcp(OUT / "dcp_one")))
    torch.multiprocessing.spawn(dcp_worker, (str(OUT / "dcp_two"), 29671), nprocs=2)
    record("dcp_two", "dcp_two", "distributed", make.held_tensors(loaded_dcp(OUT / "dcp_two")))


def grid(folder, tensor, cuts, strided):
    """A checkpoint of one tensor, cut at these places in each dimension."""
    folder.mkdir()
    pieces = [list(zip([0, *cut], [*cut, size])) for cut, size in zip(cuts, tensor.shape)]
    chunks, places, data = [], {}, io.BytesIO()
    for box in itertools.product(*pieces):
        part = tensor[tuple(slice(a, b) for a, b in box)]
        offsets, sizes = torch.Size([a for a, _ in box]), torch.Size([b - a for a, b in box])
        chunks.append(ChunkStorageMetadata(offsets, sizes))
        start = data.tell()
        # Chunks may lie in another order than rows.
        torch.save(part.clone() if not strided else part.mT.contiguous().mT, data)
        info = _StorageInfo("part.distcp", start, data.tell() - start)
        places[MetadataIndex("grid", offsets)] = info
    properties = TensorProperties.create_from_tensor(tensor)
    about = {"grid": TensorStorageMetadata(properties, tensor.shape, chunks[::-1])}
    (folder / "part.distcp").write_bytes(data.getvalue())
    (folder / ".metadata").write_bytes(pickle.dumps(Metadata(about, {"grid": ("grid",)}, places)))


def grids():
    tensor = torch.arange(3 * 4 * 5, dtype=torch.int16).reshape(3, 4, 5)
    grid(OUT / "dcp_grid", tensor, [[1], [], [2, 3]], True)
    record("dcp_grid", "dcp_grid", "distributed", make.held_tensors(loaded_dcp(OUT / "dcp_grid")))


# Archives packed again


def repack(name, change=lambda n, d: (n, d), method=zipfile.ZIP_STORED, comment=b"", zip64=False, stream=False):
    source = zipfile.ZipFile(io.BytesIO(BASE))
    out = io.BytesIO()
    target = types.SimpleNamespace(write=out.write, flush=out.flush) if stream else out
    with zipfile.ZipFile(target, "w", method) as archive:
        archive.comment = comment
        for old in source.namelist():
            new, data = change(old, source.read(old))
            with archive.open(zipfile.ZipInfo(new), "w", force_zip64=zip64) if method == zipfile.ZIP_STORED else \
                    archive.open(new, "w", force_zip64=zip64) as member:
                member.write(data)
    (OUT / f"{name}.pth").write_bytes(out.getvalue())
    record_loaded(name, f"{name}.pth", "zip")


def swapped(name, data):
    """What a big-endian machine would have written."""
    widths = {"0": 4, "1": 8, "2": 8, "3": 2, "4": 1}
    if name.endswith("byteorder"):
        return name, b"big"
    if "/data/" in name:
        width = widths[name.rsplit("/", 1)[1]]
        return name, b"".join(data[i:i + width][::-1] for i in range(0, len(data), width))
    return name, data


def archives():
    global BASE
    holder = io.BytesIO()
    base = torch.arange(6.0).reshape(2, 3)
    torch.save({
        "base": base, "turned": base.t(), "long": torch.tensor([1, -2]), "double": torch.tensor([0.5, -3.0], dtype=torch.float64),
        "half": torch.tensor([1.5, 2.5, 3.5]).bfloat16(), "bytes": torch.tensor([1, 2, 3], dtype=torch.uint8),
    }, holder)
    BASE = holder.getvalue()
    repack("zip_deflated", method=zipfile.ZIP_DEFLATED)
    repack("zip_other_root", lambda n, d: (n.replace("archive/", "some other root/"), d))
    repack("zip_nested_root", lambda n, d: (n.replace("archive/", "a/b/"), d))
    repack("zip_no_root", lambda n, d: (n.replace("archive/", ""), d))
    repack("zip_comment", comment=b"packed again")
    repack("zip_zip64", zip64=True)
    repack("zip_descriptors", stream=True)
    repack("zip_big_endian", swapped)


if __name__ == "__main__":
    STEPS = (tars, pieces, embedded, scripts, packages, exports, sharded, distributed, grids, archives)
    CHOSEN = [step for step in STEPS if step.__name__ in sys.argv[2:]]
    if not CHOSEN:
        shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(exist_ok=True)
    for step in CHOSEN or STEPS:
        step()
