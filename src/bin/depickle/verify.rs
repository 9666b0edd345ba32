//! `verify`: whether a file is sound.

use std::borrow::Cow;

use depickle::torch::{Problem, Verification};
use serde_json::{Value, json};

use crate::args::Verify;
use crate::input::label;
use crate::output::{self, Answer, Failure, Form, Part, count, human, printable};
use crate::progress::Progress;

pub(crate) fn run(args: &Verify) -> Result<Answer, Failure> {
    let form = Form::new(args.json, args.jsonl);
    let mut sound = true;
    let answer = output::each_file(&args.files, form, |file| {
        let checkpoint = args.reading.open(file)?;
        let progress = Progress::of_file("verifying", file, !args.no_progress);
        let found = checkpoint.verify_with(&|bytes| progress.advance(bytes))?;
        drop(progress);
        sound &= found.is_sound();
        let part = match form {
            Form::Text => Part::Text(text(&found)),
            _ => Part::Json(json!({
                "path": label(file),
                "container": checkpoint.container().name(),
                "sound": found.is_sound(),
                "members": found.members,
                "nbytes": found.nbytes,
                "tensors": found.tensors,
                "problems": found.problems.iter().map(problem).collect::<Vec<_>>(),
            })),
        };
        Ok((part, Vec::new()))
    })?;
    Ok(if answer == Answer::Well && !sound { Answer::No } else { answer })
}

fn problem(problem: &Problem) -> Value {
    let (rule, member, offset) = match problem {
        Problem::Finding(finding) => {
            let member = finding.member.as_deref();
            let member = member.map(|name| String::from_utf8_lossy(name).into_owned());
            ("archive", member, Some(finding.at.0))
        }
        Problem::Error(why) => {
            let member = why.member().map(Cow::into_owned);
            ("damage", member, why.offset().map(|at| at.0))
        }
        _ => ("other", None, None),
    };
    json!({ "rule": rule, "member": member, "offset": offset, "message": problem.to_string() })
}

fn text(found: &Verification) -> String {
    let mut text = String::new();
    for problem in &found.problems {
        text.push_str(&printable(&problem.to_string()));
        text.push('\n');
    }
    let (members, tensors) = (count(found.members), count(found.tensors));
    let read =
        format!("{members} checksums over {}, {tensors} tensors in bounds", human(found.nbytes));
    match found.problems.len() {
        0 => format!("sound: {read}\n"),
        n => format!("{text}not sound: problems {}; {read}\n", count(n as u64)),
    }
}
