//! Files laid out as `torch.save` does, of any size, without Python.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a benchmark fails by panicking"
)]

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// Whether this is `cargo test`, which runs each benchmark once to see that it works, and not
/// `cargo bench`: then everything is small. Criterion tells them apart in the same way.
pub(crate) fn trying() -> bool {
    let given = |flag: &str| std::env::args().any(|argument| argument == flag);
    given("--test") || !given("--bench")
}

/// What is measured, or what is tried.
pub(crate) fn size<T>(measured: T, tried: T) -> T {
    if trying() { tried } else { measured }
}

/// A state dict of float32 matrices.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub name: &'static str,
    pub tensors: usize,
    pub rows: usize,
    pub columns: usize,
    pub transposed: bool,
}

impl Shape {
    /// This shape where it is measured; a small one of the same kind where it is tried.
    pub(crate) fn sized(self) -> Self {
        let small = Self {
            tensors: self.tensors.min(8),
            rows: self.rows.min(128),
            columns: self.columns.min(128),
            ..self
        };
        size(self, small)
    }

    pub(crate) const fn bytes(self) -> usize {
        self.tensors * self.rows * self.columns * 4
    }

    /// The file of this shape, made if it is not there yet.
    pub(crate) fn file(self) -> PathBuf {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(size("bench", "bench-tried"));
        let path = folder.join(format!("{}.pth", self.name));
        if !path.exists() {
            std::fs::create_dir_all(&folder).expect("a folder for bench files");
            let unfinished = path.with_extension("part");
            self.write(&unfinished).expect("a bench file");
            std::fs::rename(unfinished, &path).expect("a bench file");
        }
        path
    }

    fn write(self, path: &Path) -> io::Result<()> {
        let mut zip = ZipWriter::new(BufWriter::new(File::create(path)?));
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(false)
            .with_alignment(64);
        let mut member = |name: String, data: &[u8]| -> io::Result<()> {
            zip.start_file(format!("archive/{name}"), options)?;
            zip.write_all(data)
        };
        member("data.pkl".to_owned(), &self.pickle())?;
        member("byteorder".to_owned(), b"little")?;
        let values = (0..self.rows * self.columns)
            .map(|i| f32::from(u16::try_from(i % 1009).expect("a small number")));
        let values: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
        for index in 0..self.tensors {
            member(format!("data/{index}"), &values)?;
        }
        member("version".to_owned(), b"3\n")?;
        zip.finish()?.flush()
    }

    /// Protocol 2, as PyTorch writes it, but for the memo.
    fn pickle(self) -> Vec<u8> {
        let mut out = b"\x80\x02}(".to_vec();
        let (rows, columns) = (self.rows, self.columns);
        for index in 0..self.tensors {
            text(&mut out, &format!("layers.{index}.weight"));
            out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
            text(&mut out, "storage");
            out.extend(b"ctorch\nFloatStorage\n");
            text(&mut out, &index.to_string());
            text(&mut out, "cpu");
            int(&mut out, rows * columns);
            out.extend(b"tQK\x00");
            let plain = ([rows, columns], [columns, 1]);
            let turned = ([columns, rows], [1, columns]);
            let (size, stride) = if self.transposed { turned } else { plain };
            for pair in [size, stride] {
                for number in pair {
                    int(&mut out, number);
                }
                out.push(b'\x86');
            }
            out.extend(b"\x89ccollections\nOrderedDict\n)RtR");
        }
        out.extend(b"u.");
        out
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend(u32::try_from(text.len()).expect("a short text").to_le_bytes());
    out.extend(text.as_bytes());
}

fn int(out: &mut Vec<u8>, number: usize) {
    out.push(b'J');
    out.extend(i32::try_from(number).expect("a small number").to_le_bytes());
}
