//! Files of other programs, by the marks in their first bytes: what to call them, and what to do.

use crate::base::Source;

/// A format that is no checkpoint of PyTorch.
#[derive(Debug)]
#[cfg_attr(not(feature = "doctor"), expect(dead_code, reason = "only doctor tells all"))]
pub(crate) struct Format {
    /// A short name that does not change.
    pub id: &'static str,
    /// What it is, with an article.
    pub thing: &'static str,
    /// What it is and what to do, in a line: the error of whoever wanted a checkpoint.
    pub message: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// Python that reads it, with `PATH` for its path; empty if there is none to recommend.
    pub python: &'static str,
    marks: &'static [Mark],
}

/// Where bytes stand, and which.
type Mark = (usize, &'static [u8]);

macro_rules! formats {
    ($($id:literal, $thing:literal, $advice:literal, $python:literal, $marks:expr;)*) => {
        &[$(Format {
            id: $id,
            thing: $thing,
            message: concat!("this is ", $thing, ", not a PyTorch file: ", $advice),
            advice: $advice,
            python: $python,
            marks: &$marks,
        },)*]
    };
}

/// All of them; of several that fit, the first counts. Each mark is one with which no pickle
/// begins.
#[rustfmt::skip]
const FORMATS: &[Format] = formats! {
    "safetensors", "a safetensors file", "it holds no pickle, and safetensors readers open it", "from safetensors.torch import load_file\nobj = load_file(PATH)", [(8, b"{\""), (8, b"{}"), (8, b"{ ")];
    "damaged-safetensors", "a safetensors file, it seems, whose first bytes are no length of a header", "get it again from where it came", "", [];
    "gguf", "a GGUF file (llama.cpp)", "llama.cpp and its relatives open it; get the model in PyTorch's or safetensors format", "from gguf import GGUFReader\nobj = GGUFReader(PATH)", [(0, b"GGUF")];
    "ggml", "a GGML file (old llama.cpp)", "old releases of llama.cpp and whisper.cpp open it; get the model in PyTorch's or safetensors format", "", [(0, b"lmgg"), (0, b"tjgg"), (0, b"fmgg"), (0, b"algg")];
    "hdf5", "an HDF5 file (Keras, perhaps)", "Keras or h5py open it", "import h5py\nobj = h5py.File(PATH, \"r\")", [(0, b"\x89HDF\r\n\x1a\n")];
    "numpy", "a NumPy array (.npy)", "numpy.load opens it", "import numpy\nobj = numpy.load(PATH, allow_pickle=False)", [(0, b"\x93NUMPY")];
    "git-lfs", "a git-LFS pointer", "run `git lfs pull`", "", [(0, b"version https://git-lfs"), (0, b"version https://hawser")];
    "gzip", "gzip-compressed", "unpack it first (`gzip -d`)", "", [(0, b"\x1f\x8b\x08")];
    "7z", "a 7z archive", "unpack it first (`7z x`)", "", [(0, b"7z\xbc\xaf\x27\x1c")];
    "rar", "a rar archive", "unpack it first (`unrar x`)", "", [(0, b"Rar!\x1a\x07")];
    "xz", "xz-compressed", "unpack it first (`xz -d`)", "", [(0, b"\xfd7zXZ\0")];
    "lzma", "lzma-compressed", "unpack it first (`xz --format=lzma -d`)", "", [(0, b"]\0\0\x80\0"), (0, b"]\0\0\0\x04"), (0, b"]\0\0\x01\0")];
    "bzip2", "bzip2-compressed", "unpack it first (`bzip2 -d`)", "", [(0, b"BZh11AY&SY"), (0, b"BZh21AY&SY"), (0, b"BZh31AY&SY"), (0, b"BZh41AY&SY"), (0, b"BZh51AY&SY"), (0, b"BZh61AY&SY"), (0, b"BZh71AY&SY"), (0, b"BZh81AY&SY"), (0, b"BZh91AY&SY"), (0, b"BZh9\x17\x72\x45\x38\x50\x90")];
    "zstd", "zstd-compressed", "unpack it first (`zstd -d`)", "", [(0, b"\x28\xb5\x2f\xfd")];
    "lz4", "lz4-compressed", "unpack it first (`lz4 -d`)", "", [(0, b"\x04\x22\x4d\x18")];
    "compress", "compressed by compress", "unpack it first (`uncompress`)", "", [(0, b"\x1f\x9d")];
    "git-object", "zlib-compressed (a loose Git object, perhaps)", "`git cat-file` shows Git's objects; else unpack it first", "", [(0, b"x\x01K\xca"), (0, b"x\x9cK\xca"), (0, b"x\x01+)"), (0, b"x\x9c+)")];
    "zlib", "zlib-compressed", "unpack it first", "import zlib\nobj = zlib.decompress(open(PATH, \"rb\").read())", [(0, b"x\x9c"), (0, b"x\xda"), (0, b"x\x5e")];
    "git-pack", "a Git pack", "a Git repository was copied, not its files: check it out", "", [(0, b"PACK\0\0\0\x02"), (0, b"PACK\0\0\0\x03"), (0, b"\xfftOc")];
    "tflite", "a TFLite model", "the TFLite runtime opens it", "import tensorflow\nobj = tensorflow.lite.Interpreter(model_path=PATH)", [(4, b"TFL3")];
    "executorch", "an ExecuTorch program", "the ExecuTorch runtime opens it; weights are best taken from the model it was exported from", "", [(4, b"ET12")];
    "mxnet", "an MXNet parameter file", "MXNet opens it", "import mxnet\nobj = mxnet.nd.load(PATH)", [(0, b"\x12\x01\0\0\0\0\0\0")];
    "tensorrt", "a TensorRT engine", "the TensorRT release that built it opens it; it holds no weights that PyTorch could take", "", [(0, b"ftrt"), (0, b"ptrt")];
    "elf", "an ELF program or library", "the link or the name is wrong: get the file again from where it came", "", [(0, b"\x7fELF")];
    "mach-o", "a macOS program or library", "the link or the name is wrong: get the file again from where it came", "", [(0, b"\xcf\xfa\xed\xfe"), (0, b"\xfe\xed\xfa\xcf"), (0, b"\xca\xfe\xba\xbe")];
    "pdf", "a PDF document", "the link or the name is wrong: get the file again from where it came", "", [(0, b"%PDF")];
    "png", "a PNG image", "the link or the name is wrong: get the file again from where it came", "from PIL import Image\nobj = Image.open(PATH)", [(0, b"\x89PNG\r\n\x1a\n")];
    "jpeg", "a JPEG image", "the link or the name is wrong: get the file again from where it came", "from PIL import Image\nobj = Image.open(PATH)", [(0, b"\xff\xd8\xff")];
    "gif", "a GIF image", "the link or the name is wrong: get the file again from where it came", "from PIL import Image\nobj = Image.open(PATH)", [(0, b"GIF87a"), (0, b"GIF89a")];
    "webp", "a RIFF file (an image, sound or film)", "the link or the name is wrong: get the file again from where it came", "", [(0, b"RIFF")];
    "tiff", "a TIFF image", "the link or the name is wrong: get the file again from where it came", "from PIL import Image\nobj = Image.open(PATH)", [(0, b"II*\0"), (0, b"MM\0*")];
    "sqlite", "an SQLite database", "sqlite3 opens it", "import sqlite3\nobj = sqlite3.connect(PATH)", [(0, b"SQLite format 3\0")];
    "parquet", "a Parquet table", "pandas or pyarrow open it", "import pandas\nobj = pandas.read_parquet(PATH)", [(0, b"PAR1\x15")];
    "arrow", "an Arrow table", "pandas or pyarrow open it", "import pyarrow\nobj = pyarrow.ipc.open_file(PATH).read_all()", [(0, b"ARROW1\0\0")];
    "matlab", "a MATLAB file", "scipy.io.loadmat opens it", "import scipy.io\nobj = scipy.io.loadmat(PATH)", [(0, b"MATLAB 5.0 MAT-file")];
    "java", "serialized by Java", "the program that wrote it opens it", "", [(0, b"\xac\xed\0\x05")];
    "bytecode", "compiled Python (.pyc)", "it is a program, not data: get the right file from where it came", "", [(2, b"\r\r\n\0\0\0\0")];
    "cabinet", "a cabinet archive", "unpack it first", "", [(0, b"MSCF\0\0\0\0")];
    "ar", "a library of object files", "the link or the name is wrong: get the file again from where it came", "", [(0, b"!<arch>\n")];
    "tf-saved-model", "a TensorFlow SavedModel", "TensorFlow opens the folder it is in", "import os, tensorflow\nobj = tensorflow.saved_model.load(os.path.dirname(PATH))", [(0, b"\x08\x01\x12")];
    "tf-checkpoint", "an index of a TensorFlow checkpoint", "TensorFlow opens it, with the `.data-…` files beside it", "import tensorflow\nobj = tensorflow.train.load_checkpoint(PATH.removesuffix(\".index\"))", [];
    "onnx", "an ONNX model", "onnx or onnxruntime open it", "import onnx\nobj = onnx.load(PATH)", [];
    "coreml", "a Core ML model", "coremltools open it", "import coremltools\nobj = coremltools.models.MLModel(PATH)", [];
    "flax", "msgpack (JAX, Flax)", "flax.serialization opens it", "from flax import serialization\nobj = serialization.msgpack_restore(open(PATH, \"rb\").read())", [];
    "windows-program", "a Windows program or library", "the link or the name is wrong: get the file again from where it came", "", [];
    "zeros", "nothing but zero bytes, at least at its beginning", "the download or copy went wrong (a disk was full, or a download was broken off after its space was set aside): get it again from where it came", "", [];
};

/// Bytes that are looked at.
const HEAD: u64 = 512;

/// What a file is, if its bytes tell; text and pickles are not looked for.
pub(crate) fn of(source: &dyn Source) -> std::io::Result<Option<&'static Format>> {
    let head = source.fetch(0, source.len().min(HEAD))?;
    let marked = |format: &&Format| {
        let stands = |&(at, mark): &Mark| head.get(at..).is_some_and(|it| it.starts_with(mark));
        format.marks.iter().any(stands)
    };
    let found = FORMATS.iter().find(marked);
    // A protobuf that begins like TensorFlow's may be another's.
    let found = match found {
        Some(format) if format.id == "tf-saved-model" => None,
        Some(format) if format.id == "safetensors" && !is_safetensors(&head) => {
            FORMATS.iter().find(|format| format.id == "damaged-safetensors")
        }
        other => other,
    };
    if found.is_some() {
        return Ok(found);
    }
    let id = match () {
        () if !head.is_empty() && head.iter().all(|&byte| byte == 0) => "zeros",
        () if is_onnx(&head) => "onnx",
        () if is_core_ml(&head) => "coreml",
        () if head.starts_with(b"\x08\x01\x12") => "tf-saved-model",
        () if is_windows_program(&head) => "windows-program",
        () if is_flax(&head) => "flax",
        () if head.first() == Some(&0) && is_tensorflow_index(source)? => "tf-checkpoint",
        () => return Ok(None),
    };
    Ok(FORMATS.iter().find(|format| format.id == id))
}

/// The header's length comes first, and no header is longer than 100 MB.
fn is_safetensors(head: &[u8]) -> bool {
    head.first_chunk().is_some_and(|len| u64::from_le_bytes(*len) <= 100_000_000)
}

/// Field 1 is the version, then come texts or the graph.
/// Source: onnx `onnx.proto` (`ModelProto`).
fn is_onnx(head: &[u8]) -> bool {
    let [0x08, 1..=30, tag, rest @ ..] = head else { return false };
    // producer_name, domain, opset_import or graph.
    let fits = matches!(tag, 0x12 | 0x22 | 0x3a | 0x42);
    let text = rest.split_first().and_then(|(&len, rest)| rest.get(..len.into()));
    let named = text.is_some_and(|name| !name.is_empty() && name.iter().copied().all(is_in_names));
    let graph = *tag == 0x3a && rest.len() > 16;
    fits && (graph || *tag == 0x42 || named) && !is_saved_model(head)
}

const fn is_in_names(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b' ' | b'+' | b'/' | b':')
}

/// TensorFlow's field 2 holds a message, not a text.
fn is_saved_model(head: &[u8]) -> bool {
    let [0x08, 1, 0x12, rest @ ..] = head else { return false };
    let rest = rest.iter().position(|byte| byte & 0x80 == 0).and_then(|end| rest.get(end..));
    // meta_info_def (field 1) comes first in a MetaGraphDef.
    rest.is_some_and(|rest| rest.get(1) == Some(&0x0a))
}

/// Source: coremltools `Model.proto`: specificationVersion, description.
fn is_core_ml(head: &[u8]) -> bool {
    matches!(head, [0x08, 1..=12, 0x12, ..])
        && head.windows(11).any(|bytes| bytes == b"com.github." || bytes == b"coremltools")
}

fn is_windows_program(head: &[u8]) -> bool {
    let at = head.get(0x3c..).and_then(|rest| rest.first_chunk().copied());
    let at = at.and_then(|at| usize::try_from(u32::from_le_bytes(at)).ok());
    let at = at.filter(|_| head.starts_with(b"MZ"));
    at.and_then(|at| head.get(at..)).is_some_and(|rest| rest.starts_with(b"PE\0\0"))
}

/// A map whose first key is a text, and whose value is a map or an extension.
fn is_flax(head: &[u8]) -> bool {
    let ([0x81..=0x8f, rest @ ..] | [0xde, _, _, rest @ ..]) = head else { return false };
    let [len @ 0xa1..=0xbf, rest @ ..] = rest else { return false };
    let (key, value) = rest.split_at_checked(usize::from(len & 0x1f)).unwrap_or_default();
    let text = !key.is_empty() && key.iter().copied().all(is_in_names);
    text && matches!(value.first(), Some(0x80..=0x9f | 0xc7..=0xc9 | 0xd4..=0xd8 | 0xde))
}

/// The last 8 bytes of LevelDB's tables.
fn is_tensorflow_index(source: &dyn Source) -> std::io::Result<bool> {
    let Some(at) = source.len().checked_sub(8) else { return Ok(false) };
    Ok(source.fetch(at, 8)? == [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb][..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn id(bytes: &'static [u8]) -> Option<&'static str> {
        of(&Bytes::from_static(bytes)).unwrap().map(|format| format.id)
    }

    #[test]
    fn ids_stand_once() {
        let mut ids: Vec<_> = FORMATS.iter().map(|format| format.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), FORMATS.len());
    }

    #[test]
    fn heads_are_told_apart() {
        assert_eq!(id(b"GGUF\x03\0\0\0"), Some("gguf"));
        assert_eq!(id(b"\x08\x07\x12\x07pytorch\x1a\x051.9.0:"), Some("onnx"));
        assert_eq!(id(b"\x08\x01\x12\xd4\x07\n\x90\x01"), Some("tf-saved-model"));
        assert_eq!(id(b"\x82\xa6params\x81\xa5Dense"), Some("flax"));
        assert_eq!(id(b"\0\0\0\0\0\0"), Some("zeros"));
        let mut program = [0; 80];
        program[..2].copy_from_slice(b"MZ");
        program[0x3c] = 64;
        program[64..66].copy_from_slice(b"PE");
        assert_eq!(id(Vec::from(program).leak()), Some("windows-program"));
        // A pickle of protocol 1 that holds an integer.
        assert_eq!(id(b"MZ\x01."), None);
        assert_eq!(id(b""), None);
        assert_eq!(id(b"\x80\x02}q\0."), None);
    }
}
