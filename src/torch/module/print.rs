//! `print(model)`, character for character.
//!
//! Source: `Module.__repr__`, `ModuleList.__repr__`, `_hide_packed_params_repr` and
//! `GraphModule.__str__` of PyTorch 2.15. What a class prints of itself, [`rules`] say.

use std::collections::HashSet;
use std::ops::Range;
use std::vec::IntoIter;

use super::rules::{self, Body, Rule};
use super::template::Scope;
use super::{Class, Module, Named, Tensors};
use crate::base::{Budget, Exceeded};
use crate::pickle::{NodeId, Object};
use crate::python::repr::repr;

/// How to print a module.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Style {
    /// Levels of children to show; all if `None`. What is left out shows as `...`.
    pub depth: Option<usize>,
}

impl Style {
    /// Sets [`depth`](Self::depth).
    #[must_use]
    pub const fn with_depth(mut self, depth: Option<usize>) -> Self {
        self.depth = depth;
        self
    }
}

/// What to add to the line on which a module's text begins.
pub type Remark<'call, 'graph> = &'call dyn Fn(Module<'graph>) -> Option<String>;

/// The text that `print(module)` would show.
///
/// Classes that no rule names show their name and children, as PyTorch does for those without
/// `extra_repr`; if they hold all that a layer of PyTorch's leaves in its subclasses, what that
/// layer shows. A pickle does not name bases: a user's subclass of `nn.ModuleList` does not
/// fold, one of `nn.Dropout` shows no probability. A module inside itself shows as `Class(<cycle>)`, where Python
/// would recurse without end; an object that is no module as `<module.Class object>`.
///
/// # Errors
/// [`Exceeded`] if the budget does not cover the text: its memory, and a step for each
/// module and every four bytes.
pub fn print<'graph>(
    module: Module<'graph>,
    style: Style,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<String, Exceeded> {
    print_with(module, style, tensors, &|_| None, budget)
}

/// As [`print()`], each module's first line ending in two spaces and what `remark` says of it:
/// how many parameters it has, say. Further lines of a remark follow it on lines of their own,
/// a level deeper; an empty first line is left out. Neighbours in a list fold only if their
/// remarks agree.
///
/// # Errors
/// As [`print()`].
pub fn print_with<'graph>(
    module: Module<'graph>,
    style: Style,
    tensors: &dyn Tensors<'graph>,
    remark: Remark<'_, 'graph>,
    budget: &mut Budget,
) -> Result<String, Exceeded> {
    let mut text = Printer::new(style, tensors, remark, 0, budget).run(module)?;
    if let Some(code) = module.code() {
        budget.memory(code.len() as u64)?;
        text = [
            &*text,
            "\n",
            code,
            "\n# To see more debug info, please use `graph_module.print_readable()`",
        ]
        .concat();
    }
    Ok(text)
}

/// The first line of what [`print()`] shows, and nothing of its children: `Linear(in_features=3,
/// out_features=2, bias=True)`, `Sequential()`. Some classes have several lines of their own.
///
/// # Errors
/// As [`print()`].
pub fn headline<'graph>(
    module: Module<'graph>,
    tensors: &dyn Tensors<'graph>,
    budget: &mut Budget,
) -> Result<String, Exceeded> {
    let class = module.class();
    let rule = rules::of(module, &class, tensors, budget)?;
    let scope = Scope::new(module, class.name(), tensors, 0);
    let text = own_text(rule, &scope, budget)?;
    match rule.body {
        Body::Whole(_) | Body::WholeBy(_) => Ok(text),
        Body::Extra(_) | Body::ExtraBy(_) => {
            Ok([&*rule.shown_name(&class), "(", &*text, ")"].concat())
        }
    }
}

/// What the class of a rule says of itself.
fn own_text(rule: &Rule, scope: &Scope, budget: &mut Budget) -> Result<String, Exceeded> {
    let mut text = String::new();
    match rule.body {
        Body::Extra(template) | Body::Whole(template) => {
            scope.expand(template, &mut text, budget)?;
        }
        Body::ExtraBy(odd) | Body::WholeBy(odd) => odd(scope, &mut text, budget)?,
    }
    Ok(text)
}

/// `repr` of a module that is an attribute which another one shows. Such modules may show
/// attributes in turn, but only so deep.
pub(super) fn nested<'graph>(
    module: Module<'graph>,
    tensors: &dyn Tensors<'graph>,
    depth: u8,
    budget: &mut Budget,
) -> Result<String, Exceeded> {
    const DEEPEST: u8 = 4;
    match depth.checked_add(1).filter(|depth| *depth <= DEEPEST) {
        Some(depth) => {
            Printer::new(Style::default(), tensors, &|_| None, depth, budget).run(module)
        }
        None => Ok(format!("<{} object>", module.class())),
    }
}

/// A module whose children are being shown.
struct Frame<'graph> {
    id: NodeId,
    children: IntoIter<Named<'graph>>,
    run: Option<Run>,
}

/// Equal neighbours in a list that folds.
#[derive(Default)]
struct Run {
    /// Children begun so far.
    begun: usize,
    /// Index of the first of the current run, and how many it has.
    first: usize,
    count: usize,
    /// The text and marks of its first.
    shown: Option<Block>,
    /// The child being shown: where its line starts, and its text and marks.
    open: Option<(usize, Block)>,
}

/// A stretch of the text and of the marks in it.
#[derive(Clone)]
struct Block {
    text: Range<usize>,
    marks: Range<usize>,
}

/// A text to be put in where the printer could not know it yet: how often a child repeats.
struct Mark {
    at: usize,
    text: String,
}

struct Printer<'call, 'graph> {
    style: Style,
    tensors: &'call dyn Tensors<'graph>,
    remark: Remark<'call, 'graph>,
    budget: &'call mut Budget,
    text: String,
    /// In order of their places.
    marks: Vec<Mark>,
    frames: Vec<Frame<'graph>>,
    /// Modules on the path to the current one.
    open: HashSet<NodeId>,
    /// How many modules the root is an attribute of an attribute of.
    nested: u8,
}

impl<'call, 'graph> Printer<'call, 'graph> {
    fn new(
        style: Style,
        tensors: &'call dyn Tensors<'graph>,
        remark: Remark<'call, 'graph>,
        nested: u8,
        budget: &'call mut Budget,
    ) -> Self {
        let (text, marks, frames, open) = (String::new(), Vec::new(), Vec::new(), HashSet::new());
        Self { style, tensors, remark, budget, text, marks, frames, open, nested }
    }

    fn run(mut self, root: Module<'graph>) -> Result<String, Exceeded> {
        self.module(root)?;
        while !self.frames.is_empty() {
            self.settle();
            let Some(frame) = self.frames.last_mut() else { break };
            match frame.children.next() {
                Some((name, child)) => {
                    self.begin(&name)?;
                    self.child(child)?;
                }
                None => self.close()?,
            }
        }
        self.assembled()
    }

    fn push(&mut self, text: &str) -> Result<(), Exceeded> {
        let len = text.len() as u64;
        self.budget.visits(len / 4)?;
        self.budget.memory(len)?;
        self.text.push_str(text);
        Ok(())
    }

    /// Begins a line at the current depth.
    fn line(&mut self) -> Result<(), Exceeded> {
        let indent = self.frames.len().saturating_mul(2);
        self.budget.visits(indent as u64 / 4)?;
        self.budget.memory(indent as u64)?;
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', indent));
        Ok(())
    }

    /// Appends text of several lines, each indented to the current depth.
    fn lines(&mut self, text: &str) -> Result<(), Exceeded> {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.line()?;
            }
            self.push(line)?;
        }
        Ok(())
    }

    /// Begins the line of a child.
    fn begin(&mut self, name: &str) -> Result<(), Exceeded> {
        let line = self.text.len();
        self.line()?;
        let here = self.text.len();
        let marks = self.marks.len();
        let Some(run) = self.frames.last_mut().and_then(|frame| frame.run.as_mut()) else {
            return self.push(&["(", name, "): "].concat());
        };
        run.begun = run.begun.saturating_add(1);
        run.open = Some((line, Block { text: here..here, marks: marks..marks }));
        self.budget.push(&mut self.marks, Mark { at: here, text: String::new() })
    }

    fn child(&mut self, child: Object<'graph>) -> Result<(), Exceeded> {
        self.budget.visits(1)?;
        if let Some(module) = Module::within(child, self.budget)? {
            return self.module(module);
        }
        let mut text = String::new();
        repr(child, &|_| None, &mut text, self.budget)?;
        self.lines(&text)
    }

    /// Shows a module: all of it if it has no children to show, else its first lines.
    fn module(&mut self, module: Module<'graph>) -> Result<(), Exceeded> {
        let class = module.class();
        let rule = rules::of(module, &class, self.tensors, self.budget)?;
        let name = rule.shown_name(&class);
        if self.open.contains(&module.id()) {
            return self.push(&[&*name, "(<cycle>)"].concat());
        }
        let scope = Scope::new(module, class.name(), self.tensors, self.nested);
        let text = own_text(rule, &scope, self.budget)?;
        if matches!(rule.body, Body::Whole(_) | Body::WholeBy(_)) {
            self.lines(&text)?;
            return self.remark(module);
        }
        let children = self.shown_children(module, rule)?;
        self.push(&name)?;
        self.push("(")?;
        if children.is_empty() && !text.contains('\n') {
            self.push(&text)?;
            self.push(")")?;
            return self.remark(module);
        }
        self.remark(module)?;
        let cut = self.style.depth.is_some_and(|depth| self.frames.len() >= depth);
        let run = rule.folds.then(Run::default);
        let children = if cut { Vec::new() } else { children }.into_iter();
        let frame = Frame { id: module.id(), children, run };
        self.budget.push(&mut self.frames, frame)?;
        self.open.insert(module.id());
        if !text.is_empty() {
            self.line()?;
            self.lines(&text)?;
        }
        if cut {
            self.line()?;
            self.push("...")?;
        }
        Ok(())
    }

    fn remark(&mut self, module: Module<'graph>) -> Result<(), Exceeded> {
        let Some(remark) = (self.remark)(module) else { return Ok(()) };
        for (index, line) in remark.split('\n').enumerate() {
            if index > 0 {
                self.line()?;
            }
            if index > 0 || !line.is_empty() {
                self.push(&["  ", line].concat())?;
            }
        }
        Ok(())
    }

    fn shown_children(
        &mut self,
        module: Module<'graph>,
        rule: &Rule,
    ) -> Result<Vec<Named<'graph>>, Exceeded> {
        let mut children = module.children(self.budget)?;
        if !rule.hidden.is_empty() {
            children.retain(|(_, child)| {
                let class = child.as_recipe().map(Class::of);
                !class.is_some_and(|class| rule.hidden.contains(&class.name()))
            });
        }
        Ok(children)
    }

    /// Ends a module whose children are all shown.
    fn close(&mut self) -> Result<(), Exceeded> {
        let Some(frame) = self.frames.pop() else { return Ok(()) };
        self.open.remove(&frame.id);
        if let Some(run) = frame.run {
            self.mark(&run);
        }
        self.line()?;
        self.push(")")
    }

    /// If a child of a list that folds has just been shown: drops its line if it shows as
    /// the one before.
    fn settle(&mut self) {
        let end = self.text.len();
        let marks_end = self.marks.len();
        let Some(frame) = self.frames.last_mut() else { return };
        let Some(mut run) = frame.run.take() else { return };
        if let Some((line, mut block)) = run.open.take() {
            block.text.end = end;
            block.marks.end = marks_end;
            if run.shown.as_ref().is_some_and(|shown| self.same(shown, &block)) {
                self.text.truncate(line);
                self.marks.truncate(block.marks.start);
                run.count = run.count.saturating_add(1);
            } else {
                self.mark(&run);
                run.first = run.begun.saturating_sub(1);
                run.count = 1;
                run.shown = Some(block);
            }
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.run = Some(run);
        }
    }

    /// Whether two children show the same: in text, and in how often theirs repeat.
    fn same(&self, a: &Block, b: &Block) -> bool {
        let marks = |block: &Block| {
            // Its own first mark is not yet written, and what it says is not compared.
            let marks = self.marks.get(block.marks.clone()).unwrap_or_default();
            let start = block.text.start;
            marks.iter().skip(1).map(move |mark| (mark.at.saturating_sub(start), &mark.text))
        };
        self.text.get(a.text.clone()) == self.text.get(b.text.clone()) && marks(a).eq(marks(b))
    }

    /// Writes how often the children of a run repeat.
    fn mark(&mut self, run: &Run) {
        let Some(Block { marks, .. }) = &run.shown else { return };
        let Some(mark) = self.marks.get_mut(marks.start) else { return };
        let Run { first, count, .. } = run;
        let last = first.saturating_add(count.saturating_sub(1));
        mark.text = match count {
            0 | 1 => format!("({first}): "),
            _ => format!("({first}-{last}): {count} x "),
        };
    }

    /// The text with all marks put in.
    fn assembled(self) -> Result<String, Exceeded> {
        if self.marks.is_empty() {
            return Ok(self.text);
        }
        let len = self
            .marks
            .iter()
            .map(|mark| mark.text.len())
            .fold(self.text.len(), usize::saturating_add);
        self.budget.memory(len as u64)?;
        let mut out = String::with_capacity(len);
        let mut done = 0;
        for Mark { at, text } in &self.marks {
            out.push_str(self.text.get(done..*at).unwrap_or_default());
            out.push_str(text);
            done = *at;
        }
        out.push_str(self.text.get(done..).unwrap_or_default());
        Ok(out)
    }
}
