//! Every rule: what it finds, how bad that is, and what follows for the verdict.
//!
//! `docs/rules.md` is this table; a test holds them together.

use std::fmt;

use super::Verdict;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Nobody vouches for it.
    Medium,
    /// No honest file has it.
    High,
    /// Loading the file does harm, or may do any.
    Critical,
}

impl Severity {
    /// Its name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A rule.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name: never changed once published.
    pub id: &'static str,
    /// How bad what it finds is.
    pub severity: Severity,
    /// The best verdict that a file can have where it finds something.
    pub verdict: Verdict,
    /// What it finds.
    pub summary: &'static str,
    /// Why that counts.
    pub why: &'static str,
    /// What such a file does, as Python would.
    pub example: &'static str,
}

macro_rules! rules {
    ($($constant:ident $id:literal $severity:ident $verdict:ident $summary:literal $why:literal $example:literal)*) => {
        $(pub(crate) const $constant: &Rule = &Rule {
            id: $id,
            severity: Severity::$severity,
            verdict: Verdict::$verdict,
            summary: $summary,
            why: $why,
            example: $example,
        };)*

        /// Every rule, the worst first.
        pub const RULES: &[&Rule] = &[$($constant),*];
    };
}

rules! {
    FORBIDDEN_CALL "forbidden-call" Critical Dangerous
        "A forbidden global is called, instantiated, or handed to something that calls it."
        "It reaches code, files, processes, the network, imports or memory."
        "os.system(\"id\")"
    FORBIDDEN_GLOBAL "forbidden-global" High Dangerous
        "A forbidden global is named, though nothing seen here calls it."
        "Honest files do not hold it, and code that runs later may call it."
        "{\"loss\": builtins.eval}"
    FORBIDDEN_ATTRIBUTE "forbidden-attribute" Critical Dangerous
        "An attribute is taken that leads to the interpreter, to modules or to files."
        "From `__globals__` or a module that some other module imported, everything can be reached."
        "getattr(m.f, \"__globals__\")"
    COMPUTED_CALL "computed-call" Critical Dangerous
        "What a call returned is called or instantiated."
        "What that is cannot be known without running the first call; no honest file needs it."
        "m.find(\"x\")(\"y\")"
    METHOD_CALL "method-call" Critical Dangerous
        "A method of an object that a call made is called."
        "It is whatever the object's class says: files written, programs started."
        "getattr(pathlib.PosixPath(\"x\"), \"touch\")()"
    OVERWRITE "overwrites-global" Critical Dangerous
        "State or items are put into an imported class, function, module or table."
        "That changes the program that loads the file, for everything that runs afterwards."
        "m.Class.__dict__.update({\"__call__\": f})"
    CLASS_MADE "makes-class" High Dangerous
        "A class is made out of a name, bases and a dict of methods."
        "Its methods are any callables, and Python calls them by itself."
        "type(\"X\", (), {\"__del__\": f})"
    FORGED "forged-dtype" Critical Dangerous
        "A dtype of numpy that contradicts itself: objects that its flags deny, or fields behind its end."
        "numpy believes it, and takes bytes of the file for addresses of objects, or reaches past an array's memory."
        "numpy.dtype(\"O8\", False, True).__setstate__((3, \"|\", None, None, None, -1, -1, 0))"
    UNSEEN_PICKLE "unseen-pickle" Critical Dangerous
        "What a call returned is loaded as a pickle."
        "It is not in the file, or hidden in it."
        "torch.storage._load_from_bytes(m.f())"
    SOURCE_REACHES "source-reaches-out" Critical Dangerous
        "Source text that loading executes names modules or functions that are forbidden."
        "The text runs as Python when the file is loaded."
        "reduce_graph_module({\"_code\": \"import os; os.system('id')\"}, \"\")"
    HAND_MADE "hand-made" High Dangerous
        "Reading stopped at an operation that no pickler writes and that Python carries out."
        "What follows is seen by Python alone."
        "a global whose name a call gives; SETITEM on a list"
    AMBIGUOUS "container-ambiguous" High Dangerous
        "An archive that readers read differently."
        "What a scanner sees is then not what PyTorch loads."
        "two members archive/data.pkl"
    POLYGLOT "polyglot" High Dangerous
        "The file is two formats at once."
        "Which of them is read depends on the reader."
        "a pickle in front of a zip archive"
    UNREAD "unread" Medium Error
        "A part of the file that could not be read: encrypted, compressed in an unknown way, nested too deep, or over a limit."
        "What was not read is never clean."
        "a 7z archive under the name model.pth"
    BROKEN "broken-stream" Medium Error
        "A pickle that breaks before its STOP, or a part of the file that is cut off."
        "Python carries out what stands before the break, and what is missing was not judged."
        "the first half of a download"
    SOURCE "executes-source" High Unknown
        "Loading the file executes source text that it holds."
        "Nothing forbidden was found in the text, but it was not judged as a program."
        "torch.fx.graph_module.reduce_graph_module({…}, \"from torch import device\")"
    CALL "call-off-whitelist" Medium Unknown
        "A global is called, or handed to something that calls it, that the whitelist does not admit there."
        "Nothing is known against it, and nothing for it."
        "my.lib.make(3)"
    INSTANCE "instance-off-whitelist" Medium Unknown
        "An object of a class that is not on the whitelist."
        "Python calls the class's `__new__` and `__setstate__`."
        "my.models.Net.__new__(my.models.Net)"
    MENTION "global-off-whitelist" Medium Unknown
        "A global is named that is not on the whitelist."
        "Naming it imports its module."
        "{\"activation\": my.lib.swish}"
    ARGUMENTS "arguments-off-whitelist" Medium Unknown
        "A whitelisted function, given what honest files do not give it."
        "The whitelist speaks of its usual use."
        "_codecs.encode(\"…\", \"rot13\")"
    EXTENSION "extension-code" Medium Unknown
        "An extension code that no registry given explains."
        "What it stands for depends on the program that loads the file; `--extension` says it."
        "EXT1 7"
    OUTSIDE "outside-object" Medium Unknown
        "Something that the loader supplies is called."
        "What it is depends on the program that loads the file."
        "persistent_load(7)(\"x\")"
    PACKAGE "package-code" High Unknown
        "Python source in a torch.package archive."
        "Loading the package runs it. It is named here, not judged."
        "my/model.py"
    ODD "container-odd" Medium Unknown
        "Something about an archive that honest writers do not do."
        "It may be an accident; some readers refuse such an archive."
        "bytes behind the archive's end"
    CHECKSUM "checksum" Medium Unknown
        "A member that was judged has another checksum than the archive says."
        "It was changed after it was written, or its writer left checksums out; Python's zipfile refuses it, PyTorch does not."
        "archive/data.pkl"
    TRAILING "trailing-data" Medium Unknown
        "Bytes that follow what was read and that no reader looks at."
        "Other data may hide there."
        "a pickle, then 10,000 bytes"
    FORMAT "format-not-judged" Medium Unknown
        "A format that can hold code or pickles in ways that are not looked into."
        "It was recognised, not judged."
        "an HDF5 file: Keras keeps Lambda layers there"
    MORE "more-findings" Info Clean
        "There are more findings than are listed."
        "The verdict counts all of them."
        "100,000 members of the same name"
    CODE "code-text" Info Clean
        "TorchScript source text."
        "PyTorch compiles it to its own restricted language; it is named here, not judged."
        "archive/code/__torch__/net.py"
    FOLLOWING "more-pickles" Info Clean
        "Other pickles follow the first; each was judged."
        "`pickle.load` called again reads them."
        "pickle.dump(a, f); pickle.dump(b, f)"
}

/// The rule of this name.
#[must_use]
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().copied().find(|rule| rule.id == id)
}

/// The table as `docs/rules.md` has it, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(HEADING);
    for rule in RULES {
        let Rule { id, severity, verdict, summary, why, example } = rule;
        text.push_str(&format!(
            "\n## {id}\n\n{severity}; {outcome}.\n\n{summary} {why}\n\nExample: {example}\n",
            outcome = match verdict {
                Verdict::Clean | Verdict::Skipped => "the verdict stays as it is".to_owned(),
                other => format!("the verdict is at best {other}"),
            },
            example = quoted(example),
        ));
    }
    text.push_str(&forbidden());
    text
}

/// Code as code, words as words.
fn quoted(example: &str) -> String {
    if example.contains(['(', '{', '/', '"']) { format!("`{example}`") } else { example.to_owned() }
}

/// The forbidden globals, row by row.
fn forbidden() -> String {
    use crate::python::forbidden::{ALL, INNER, NAMED, OWN, ROWS, THROUGH};
    let code = |words: &str| {
        words.split(' ').map(|word| format!("`{word}`")).collect::<Vec<_>>().join(" ")
    };
    let mut text = String::from(FORBIDDEN);
    for row in ROWS {
        let what = match row.names {
            ALL => format!("{} and all below", code(row.modules)),
            OWN => format!("{}, all of it", code(row.modules)),
            names => format!("{}: {}", code(row.modules), code(names)),
        };
        text.push_str(&format!("| {what} | can {}: {} |\n", row.reach, row.why));
    }
    for (heading, table) in [(THROUGH_WORDS, THROUGH), (NAMED_WORDS, NAMED), (INNER_WORDS, INNER)] {
        text.push_str(heading);
        for (reach, words) in table {
            text.push_str(&format!("| {} | can {reach} |\n", code(words)));
        }
    }
    text
}

const HEADING: &str = "# What `scan` finds

This page is printed from the tables in `src/scan/rules.rs` and `src/python/forbidden.rs`
(`BLESS=1 cargo test --all-features --test scan rules` writes it). A file has the worst verdict of
its findings: dangerous before error before unknown before clean. **Clean** takes more than no
findings: the file was read to its end, and every global in it is whitelisted in the position it
stands in (`src/python/whitelist.rs`). Rule ids are never renamed.
";

const FORBIDDEN: &str = "
## Forbidden globals

Refused in any position, under any spelling: older names (`__builtin__`, `nt`, `posix`, Python 2's
modules, numpy 1's), dotted names, attributes taken by `getattr`. No such list is complete, so what
is neither here nor on the whitelist is unknown, never clean.

| globals | why |
|---|---|
";

const THROUGH_WORDS: &str = "
No dotted name or attribute may lead through these:

| attributes | why |
|---|---|
";

const NAMED_WORDS: &str = "
No module may be asked for these, which are modules or handles that it happens to hold:

| names | why |
|---|---|
";

const INNER_WORDS: &str = "
Nor may modules that carry these names inside of a package (`six.moves.builtins`):

| modules | why |
|---|---|
";
