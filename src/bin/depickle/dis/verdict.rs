//! What the tables say of the globals that operations name and call.

use depickle::pickle::{AnnotatedLine, Content, Global, Name, Op, Position, Positions, Thing};
use depickle::python::policy;

/// A global in one operation.
pub(super) struct Named<'line> {
    module: &'line Name<'line>,
    name: &'line Name<'line>,
    pub(super) position: Position,
    pub(super) verdict: Verdict,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Whitelisted,
    Unknown,
    Forbidden,
}

impl Verdict {
    /// Its name in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Whitelisted => "whitelisted",
            Self::Unknown => "unknown",
            Self::Forbidden => "forbidden",
        }
    }

    fn of(global: Global, position: Position) -> Self {
        if policy::models().admits(global) == Positions::NONE {
            return Self::Forbidden;
        }
        let listed =
            policy::is_whitelisted(global) && policy::strict().admits(global).has(position);
        if listed { Self::Whitelisted } else { Self::Unknown }
    }
}

impl<'line> Named<'line> {
    /// The global that an operation names, calls or instantiates.
    pub(super) fn of(line: &'line AnnotatedLine) -> Option<Self> {
        let Content::Op(op) = line.line.content else { return None };
        let (module, name, position) = match line.note.result.as_ref()? {
            Thing::Global(module, name) => (module, name, Position::Value),
            Thing::Made(module, name) => (module, name, made_by(op)?),
            Thing::Computed(module, name) => {
                (module, name, made_by(op).map(|_| Position::Computed)?)
            }
            _ => return None,
        };
        let global = Global { module: module.as_bytes(), name: name.as_bytes() };
        Some(Self { module, name, position, verdict: Verdict::of(global, position) })
    }

    /// `module.name`.
    pub(super) fn full_name(&self) -> String {
        format!("{}.{}", self.module, self.name)
    }
}

/// How an operation uses the global whose object it makes.
const fn made_by(op: Op) -> Option<Position> {
    match op {
        Op::Reduce => Some(Position::Call),
        Op::NewObj | Op::NewObjEx | Op::Obj | Op::Inst(_) => Some(Position::Instance),
        _ => None,
    }
}

/// The position's name in JSON.
pub(super) const fn position(position: Position) -> &'static str {
    match position {
        Position::Call => "call",
        Position::Instance => "instance",
        Position::Computed => "computed",
        _ => "value",
    }
}
