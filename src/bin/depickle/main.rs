//! depickle: look into PyTorch files and pickles without running what is in them.

mod args;
mod asm;
mod convert;
mod diff;
mod dis;
mod doctor;
mod globals;
mod info;
mod input;
mod ls;
mod output;
mod progress;
mod scan;
mod show;
mod tensor;
mod tree;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Args, Verb};
use crate::output::{Answer, Failure};

fn main() -> ExitCode {
    let args = Args::parse();
    args.color.apply();
    match run(args.verb) {
        Ok(answer) => answer.into(),
        // Whoever reads has seen enough.
        Err(Failure::Pipe) => ExitCode::SUCCESS,
        Err(Failure::Other(why)) => {
            output::error(&why);
            Answer::Failed.into()
        }
    }
}

fn run(verb: Verb) -> Result<Answer, Failure> {
    match verb {
        Verb::Info(args) => info::run(&args),
        Verb::Ls(args) => ls::run(&args),
        Verb::Tree(args) => tree::run(&args),
        Verb::Show(args) => show::run(&args),
        Verb::Dis(args) => dis::run(&args),
        Verb::Asm(args) => asm::run(&args),
        Verb::Diff(args) => diff::run(&args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Globals(args) => globals::run(&args),
        Verb::Convert(args) => convert::run(&args),
        Verb::Scan(args) => scan::run(&args),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "depickle", &mut text);
            output::stdout(|out| out.write_all(&text))
        }
        Verb::Man => {
            let mut text = Vec::new();
            clap_mangen::Man::new(Args::command()).render(&mut text)?;
            output::stdout(|out| out.write_all(&text))
        }
    }
}
