//! Opening what the command line names.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use depickle::base::FileSource;
use depickle::pickle::{Object, Pattern, Policy, Positions, Rule, glob_matches};
use depickle::python::policy;
use depickle::torch::{Checkpoint, Error, Following, Options};
use depickle::{Limits, Source};
use serde_json::{Value, json};

use crate::args::{Extension, Key, Names, Preset, Reading};
use crate::output::note;

impl Reading {
    pub(crate) fn options(&self) -> Options {
        let mut limits = Limits::default();
        if let Some(bytes) = self.max_memory {
            // Who grants more memory than is usual grants as many more steps.
            let times = bytes.checked_div(limits.memory).unwrap_or(1).max(1);
            let visits = limits.visits.saturating_mul(times);
            limits = limits.with_memory(bytes).with_visits(visits);
        }
        Options::default().policy(self.policy()).limits(limits)
    }

    fn policy(&self) -> Policy {
        let preset = match self.policy {
            Preset::WeightsOnly => policy::weights_only().clone(),
            Preset::Strict => policy::strict().clone(),
            Preset::Models => policy::models().clone(),
            Preset::Inspect => Policy::inspect(),
        };
        let rule =
            |glob: &String, positions| Rule { pattern: Pattern::glob(glob.clone()), positions };
        let allowed = self.allow.iter().map(|glob| rule(glob, Positions::ALL));
        let forbidden = self.forbid.iter().map(|glob| rule(glob, Positions::NONE));
        let policy = allowed.chain(forbidden).fold(preset, Policy::with);
        self.extension.iter().fold(policy, |policy, Extension { code, module, name }| {
            policy.with_extension(*code, module, name)
        })
    }

    /// Opens a file for positioned reads, or standard input in memory.
    pub(crate) fn open(&self, path: &Path) -> Result<Checkpoint, Error> {
        self.open_stream(path, 0)
    }

    /// As [`open`](Self::open), the pickle of that number. What follows it is said.
    pub(crate) fn open_stream(&self, path: &Path, stream: usize) -> Result<Checkpoint, Error> {
        let checkpoint = self.open_quietly(path, stream)?;
        let path = label(path);
        match checkpoint.following()? {
            Following::Pickle(at) => note(&format!(
                "{path}: another pickle follows at {at}; `show --stream {}` and `dis` show it",
                stream.saturating_add(1)
            )),
            Following::Bytes(len) => {
                note(&format!("{path}: {len} bytes follow the pickle that are none"));
            }
            _ => {}
        }
        Ok(checkpoint)
    }

    fn open_quietly(&self, path: &Path, stream: usize) -> Result<Checkpoint, Error> {
        let options = self.options().stream(stream);
        if path != Path::new("-") {
            return options.open(path);
        }
        options.read(bytes::Bytes::from(spool(options.limits.memory)?))
    }
}

/// A file for positioned reads, or standard input in memory.
pub(crate) fn source(path: &Path, limits: &Limits) -> io::Result<Box<dyn Source>> {
    if path == Path::new("-") {
        return Ok(Box::new(bytes::Bytes::from(spool(limits.memory)?)));
    }
    Ok(Box::new(FileSource::new(File::open(path)?)?))
}

/// Standard input, up to `most` bytes.
pub(crate) fn spool(most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        let why = format!(
            "standard input has more than {most} bytes: raise --max-memory, or name a file"
        );
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

impl Key {
    pub(crate) fn object<'file>(
        &self,
        checkpoint: &'file Checkpoint,
    ) -> Result<Object<'file>, Error> {
        match &self.key {
            Some(path) => checkpoint.at(path),
            None => Ok(checkpoint.root()),
        }
    }
}

impl Names {
    /// What a tensor is to be called; none if it was not asked for.
    pub(crate) fn name<'name>(&self, name: &'name str) -> Option<Cow<'name, str>> {
        let mut short = name;
        while let Some(shorter) = self
            .strip_prefix
            .iter()
            .find_map(|prefix| short.strip_prefix(prefix.as_str()).filter(|_| !prefix.is_empty()))
        {
            short = shorter;
        }
        let renamed =
            self.rename.iter().fold(Cow::Borrowed(short), |name, rename| rename.apply(name));
        self.wants(&renamed).then_some(renamed)
    }

    /// Whether a tensor of that name, changed already, was asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let matches = |glob: &String| glob_matches(glob.as_bytes(), name.as_bytes());
        let included = self.include.is_empty() || self.include.iter().any(matches);
        included && !self.exclude.iter().any(matches)
    }

    /// What was chosen, as documents have it.
    pub(crate) fn chosen(&self, key: Option<&str>) -> Value {
        let mut chosen = json!({ "key": key, "strip_prefix": self.strip_prefix });
        if let (Value::Object(fields), false) = (&mut chosen, self.rename.is_empty()) {
            let renames = self.rename.iter().map(depickle::convert::Rename::text);
            fields.insert("rename".to_owned(), renames.collect());
        }
        chosen
    }
}

/// What a path is called in output.
pub(crate) fn label(path: &Path) -> String {
    path.display().to_string()
}
