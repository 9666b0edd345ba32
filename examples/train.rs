//! A training loop's checkpoint, from Rust: builds it of plain values and tensors, saves it so
//! that `torch.load` reads it, opens it again, and goes on from there.
//!
//!     train [FILE]

use std::error::Error;

use depickle::Budget;
use depickle::base::Existing;
use depickle::pickle::NodeId;
use depickle::torch::{Checkpoint, Draft};

/// `y = weight * x + bias`, trained with momentum.
#[derive(Debug, Default)]
struct Training {
    epoch: u32,
    loss: f64,
    weight: [f32; 1],
    bias: [f32; 1],
    /// Momentum of each parameter.
    momentum: [[f32; 1]; 2],
}

const RATE: f32 = 0.05;
const MOMENTUM: f32 = 0.9;

impl Training {
    /// One epoch on points of `y = 3 x + 1`.
    fn step(&mut self) {
        let points = [-1.0_f32, -0.5, 0.0, 0.5, 1.0].map(|x| (x, 3.0 * x + 1.0));
        let (mut slope, mut shift, mut loss) = (0.0, 0.0, 0.0);
        for (x, y) in points {
            let error = self.weight[0] * x + self.bias[0] - y;
            (slope, shift, loss) = (slope + error * x, shift + error, loss + error * error);
        }
        let [of_weight, of_bias] = &mut self.momentum;
        for (parameter, momentum, gradient) in [
            (&mut self.weight[0], &mut of_weight[0], slope / 2.5),
            (&mut self.bias[0], &mut of_bias[0], shift / 2.5),
        ] {
            *momentum = MOMENTUM * *momentum + gradient;
            *parameter -= RATE * *momentum;
        }
        (self.epoch, self.loss) = (self.epoch.saturating_add(1), f64::from(loss / 5.0));
    }

    fn save(&self, path: &str) -> Result<u64, Box<dyn Error>> {
        let mut budget = Budget::default();
        let mut draft = Draft::new(&mut budget);
        let weight = draft.tensor(&[1, 1], &self.weight)?;
        let bias = draft.tensor(&[1], &self.bias)?;
        let model = draft.state_dict([("linear.weight", weight), ("linear.bias", bias)])?;
        draft.set_versions(model, [("", 1), ("linear", 1)])?;
        let optimizer = self.optimizer(&mut draft)?;
        let (epoch, loss) = (draft.value(&self.epoch)?, draft.value(&self.loss)?);
        let root = draft.mapping(&[
            ("epoch", epoch),
            ("model_state_dict", model),
            ("optimizer_state_dict", optimizer),
            ("loss", loss),
        ])?;
        Ok(draft.finish(root)?.save(path, Existing::Replace)?)
    }

    /// As `torch.optim.SGD.state_dict()`: state by the number of the parameter, and groups.
    fn optimizer<'run>(&'run self, draft: &mut Draft<'run>) -> Result<NodeId, Box<dyn Error>> {
        let mut state = Vec::new();
        for (number, (momentum, shape)) in
            self.momentum.iter().zip([&[1, 1][..], &[1][..]]).enumerate()
        {
            let buffer = draft.tensor(shape, momentum)?;
            state.push((draft.value(&number)?, draft.mapping(&[("momentum_buffer", buffer)])?));
        }
        let state = draft.dict(&state)?;
        let (rate, momentum) = (draft.value(&RATE)?, draft.value(&MOMENTUM)?);
        let params = draft.value(&[0, 1])?;
        let group = draft.mapping(&[("lr", rate), ("momentum", momentum), ("params", params)])?;
        let groups = draft.list(&[group])?;
        Ok(draft.mapping(&[("state", state), ("param_groups", groups)])?)
    }

    fn open(path: &str) -> Result<Self, Box<dyn Error>> {
        let checkpoint = Checkpoint::open(path)?;
        let one = |name: &str| -> Result<[f32; 1], Box<dyn Error>> {
            let values: Vec<f32> = checkpoint.tensor(name)?.to_vec()?;
            values.try_into().map_err(|_| format!("{name} has another shape").into())
        };
        let momentum =
            |number| one(&format!("optimizer_state_dict.state.{number}.momentum_buffer"));
        let epoch = checkpoint.at("epoch")?.as_int().ok_or("epoch is no number")?;
        let depickle::pickle::Value::Float(loss) = checkpoint.at("loss")?.value() else {
            return Err("loss is no number".into());
        };
        Ok(Self {
            epoch: epoch.try_into()?,
            loss,
            weight: one("model_state_dict.linear.weight")?,
            bias: one("model_state_dict.linear.bias")?,
            momentum: [momentum(0)?, momentum(1)?],
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "/tmp/train.pth".to_owned());
    let mut training = Training::default();
    (0..40).for_each(|_| training.step());
    let nbytes = training.save(&path)?;
    println!("epoch {}, loss {:.6}: {nbytes} bytes saved", training.epoch, training.loss);

    let mut resumed = Training::open(&path)?;
    (0..40).for_each(|_| resumed.step());
    (0..40).for_each(|_| training.step());
    // As if it had never been stopped.
    assert_eq!(format!("{resumed:?}"), format!("{training:?}"));
    println!(
        "epoch {}, loss {:.6}: y = {:.3} x + {:.3}",
        resumed.epoch, resumed.loss, resumed.weight[0], resumed.bias[0]
    );
    Ok(())
}
