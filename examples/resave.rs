//! Reads a checkpoint and saves it again, the same objects, as `torch.save` would:
//!
//!     resave [--legacy] [--state-dict] [--compact] [--force] IN OUT
//!
//! Of what holds several tensors `--state-dict` saves these alone, by name.

use std::error::Error;
use std::process::ExitCode;

use depickle::Budget;
use depickle::base::Existing;
use depickle::torch::{Checkpoint, Draft, Form, Take};

fn main() -> ExitCode {
    match run() {
        Ok(nbytes) => {
            println!("{nbytes} bytes");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("resave: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<u64, Box<dyn Error>> {
    let (flags, paths): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|argument| argument.starts_with("--"));
    let has = |flag: &str| flags.iter().any(|given| given == flag);
    let [from, to] = &paths[..] else { return Err("give a file to read and one to write".into()) };
    let form = if has("--legacy") { Form::Legacy } else { Form::Zip };
    let existing = if has("--force") { Existing::Replace } else { Existing::Refuse };
    let checkpoint = Checkpoint::open(from)?;
    let mut budget = Budget::default();
    let plan = if has("--state-dict") || has("--compact") {
        let how = Take::default().detach();
        let how = if has("--compact") { how.compact() } else { how };
        let mut draft = Draft::new(&mut budget);
        let root = draft.take_all(&checkpoint, checkpoint.tensors()?, how)?;
        draft.finish_as(root, form)?
    } else {
        let draft = Draft::of(&checkpoint, &mut budget)?;
        let root = draft.root();
        draft.finish_as(root, form)?
    };
    let plan = plan.named_for(to.as_ref());
    let announced = plan.nbytes();
    let written = plan.save(to, existing)?;
    assert_eq!(announced, written, "the plan knows how long the file will be");
    Ok(written)
}
