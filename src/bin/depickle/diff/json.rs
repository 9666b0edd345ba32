//! The document that programs read.

use depickle::torch::{Comparison, Gap, Size};
use serde_json::{Map, Value, json};

use super::plain::Difference;
use super::side::{Held, Side};
use super::{Diff, Fact, Found, Row};
use crate::output::{self, Failure};

pub(super) fn print(args: &Diff, left: &Side, right: &Side, found: &Found) -> Result<(), Failure> {
    let side = |side: &Side| {
        json!({
            "path": side.label,
            "container": side.checkpoint.container().name(),
            "kind": side.kind.name(),
            "root_class": side.checkpoint.class_of(side.object),
            "chosen": args.names.chosen(side.key.as_deref()),
            "automatic": side.automatic,
        })
    };
    let rows =
        |is: fn(&Fact) -> bool| found.rows.iter().filter(move |row| row.facts.iter().any(is));
    let missing = rows(|fact| *fact == Fact::Missing).map(|row| held(row, row.left.as_ref()));
    let unexpected =
        rows(|fact| *fact == Fact::Unexpected).map(|row| held(row, row.right.as_ref()));
    let kept = rows(|fact| *fact == Fact::Kept).map(|row| json!(row.name));
    let differences =
        found.rows.iter().flat_map(|row| row.facts.iter().filter_map(|it| fact(row, it)));
    let document = json!({
        "left": side(left),
        "right": side(right),
        "mode": if found.fits { "fit" } else { "diff" },
        "same": found.same() && found.errors.is_empty(),
        "keys": { "left": found.keys[0], "right": found.keys[1], "both": found.keys[2] },
        "values_compared": args.compares_values(),
        "objects_compared": found.plain,
        "missing": missing.collect::<Vec<_>>(),
        "unexpected": unexpected.collect::<Vec<_>>(),
        "kept": kept.collect::<Vec<_>>(),
        "differences": differences.collect::<Vec<_>>(),
        "objects": found.objects.iter().map(object).collect::<Vec<_>>(),
        "load_state_dict": found.fits.then_some(&found.message),
        "notes": found.notes,
        "advice": found.advice.iter().map(super::advice::Advice::json).collect::<Vec<_>>(),
        "errors": found.errors,
    });
    output::stdout(|out| {
        serde_json::to_writer_pretty(&mut *out, &document).map_err(std::io::Error::from)?;
        writeln!(out)
    })?;
    Ok(())
}

fn held(row: &Row, held: Option<&Held>) -> Value {
    json!({
        "name": row.name,
        "dtype": held.and_then(|held| held.dtype).map(depickle::torch::DType::name),
        "shape": held.and_then(|held| held.shape.clone()),
    })
}

/// A difference of what both have.
fn fact(row: &Row, fact: &Fact) -> Option<Value> {
    let sides = [row.left.as_ref(), row.right.as_ref()]
        .map(|held| held.and_then(|held| held.tensor.as_ref()));
    let [one, other] = sides;
    let mut json = Map::from_iter([("name".to_owned(), json!(row.name))]);
    let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
    let (what, left, right) = match fact {
        Fact::Shape => ("shape", json!(one.map(shape)), json!(other.map(shape))),
        Fact::Layout => {
            let name = |tensor: &depickle::torch::Tensor| tensor.layout().name();
            ("layout", json!(one.map(name)), json!(other.map(name)))
        }
        Fact::DType => {
            let name = |held: &Held| held.dtype.map(depickle::torch::DType::name);
            (
                "dtype",
                json!(row.left.as_ref().and_then(name)),
                json!(row.right.as_ref().and_then(name)),
            )
        }
        Fact::Quantizer => ("quantizer", Value::Null, Value::Null),
        Fact::Role(left, right) => ("role", json!(left), json!(right)),
        Fact::Grad(left, right) => ("requires_grad", json!(left), json!(right)),
        Fact::Device(left, right) => ("device", json!(left), json!(right)),
        Fact::Other(text) => {
            put("what", json!("other"));
            put("message", json!(text));
            return Some(Value::Object(json));
        }
        Fact::Values(part, found) => {
            put("what", json!("values"));
            if !part.is_empty() {
                put("part", json!(part));
            }
            for (key, value) in values(found) {
                put(key, value);
            }
            return Some(Value::Object(json));
        }
        Fact::Missing | Fact::Unexpected | Fact::Kept => return None,
    };
    put("what", json!(what));
    put("left", left);
    put("right", right);
    Some(Value::Object(json))
}

fn shape(tensor: &depickle::torch::Tensor) -> Value {
    tensor.nested_sizes().map_or(json!(tensor.shape()), |sizes| json!(sizes))
}

fn values(found: &Comparison) -> [(&'static str, Value); 7] {
    [
        ("elements", json!(found.elements)),
        ("differing", json!(found.differing)),
        ("only_bits", json!(found.only_bits)),
        ("nan", json!(found.nan)),
        ("first", json!(found.first)),
        ("max_abs", json!(found.absolute.map(gap))),
        ("max_rel", json!(found.relative.map(gap))),
    ]
}

fn gap(gap: Gap) -> Value {
    json!({ "size": size(gap.size), "at": gap.at })
}

/// In the tagged form.
fn size(size: Size) -> Value {
    const MOST: u128 = 1 << 53;
    match size {
        Size::Exact(size) if size <= MOST => json!(u64::try_from(size).unwrap_or(u64::MAX)),
        Size::Exact(size) => json!({ "$int": size.to_string() }),
        Size::Float(size) if size.is_finite() => json!(size),
        Size::Float(size) => json!({ "$float": size.to_string() }),
    }
}

fn object(difference: &Difference) -> Value {
    json!({
        "path": difference.path,
        "left": difference.left,
        "right": difference.right,
    })
}
