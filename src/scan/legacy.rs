//! The layouts before 1.6: pickles with raw data between and behind them.

use super::content::{Role, Run, Spot};
use super::rules;
use crate::base::{FileOffset, Source};
use crate::pickle::{Graph, Items, Object, Value};
use crate::torch::Error;
use crate::torch::legacy::{self, PICKLES};
use crate::torch::storage::{self, Storages};

impl Run<'_> {
    /// Five pickles, then the storages.
    pub(super) fn legacy(&mut self, source: &dyn Source, spot: &Spot) {
        let mut at = 0;
        let mut graphs = Vec::new();
        for index in 0..PICKLES as u64 {
            let Some(next) = self.one(source, spot, at, Role::Pickle, index) else { return };
            // The object and the keys say where the storages are.
            if index >= 3 {
                match self.graph(source, at) {
                    Ok(graph) => graphs.push(graph),
                    Err(why) => {
                        let why = format!("the pickles could not be read twice: {why}");
                        return self.find(rules::UNREAD, spot.place(at), why);
                    }
                }
            }
            at = next;
        }
        let [object, keys] = &graphs[..] else { return };
        match Self::storages(source, object, keys, at) {
            Ok(end) => self.behind(source, spot, end),
            Err((at, why)) => self.find(rules::BROKEN, spot.place(at), why),
        }
    }

    fn graph(&self, source: &dyn Source, at: u64) -> Result<Graph, Error> {
        let (_, outcome, _) = self.run_at(source, at, FileOffset(at), &self.scanner.inspect)?;
        Ok(outcome.graph)
    }

    /// Where the storages end.
    fn storages(
        source: &dyn Source,
        object: &Graph,
        keys: &Graph,
        mut at: u64,
    ) -> Result<u64, (u64, String)> {
        let widths = Storages::widths(object);
        let list = keys.root().and_then(Object::items);
        let list = list.ok_or_else(|| (at, "there is no list of storage keys".to_owned()))?;
        for key in list.iter() {
            let key = match key.value() {
                Value::Int(key) => key.to_string(),
                _ => key.as_str().unwrap_or_default().to_owned(),
            };
            let Some(&width) = widths.get(&*key) else {
                // It could not be found, nor what is behind it.
                return Err((
                    at,
                    format!(
                        "storage {key} is of a class that is not known: what follows was not looked at"
                    ),
                ));
            };
            at = counted(source, at, width, &key)?;
        }
        Ok(at)
    }

    /// A member of the tar layout that holds pickles with raw data between them.
    pub(super) fn tar_storages(&mut self, source: &dyn Source, spot: &Spot) {
        let Some((mut at, count)) = self.counted_pickle(source, spot) else { return };
        for index in 0..count {
            let Some(next) = self.one(source, spot, at, Role::Pickle, index) else { return };
            let graph = self.graph(source, at);
            let class = graph.as_ref().ok().and_then(Graph::root).and_then(Object::items);
            let class = class.and_then(Items::array).map(|[_, _, class]: [Object; 3]| class);
            let width = match class.map(storage::storage_dtype) {
                Some(Ok(Some(dtype))) => dtype.width(),
                Some(Ok(None)) => 1,
                _ => {
                    let why =
                        "a storage of a class that is not known: what follows was not looked at";
                    return self.find(rules::UNREAD, spot.place(next), why);
                }
            };
            match counted(source, next, width, &index.to_string()) {
                Ok(end) => at = end,
                Err((at, why)) => return self.find(rules::BROKEN, spot.place(at), why),
            }
        }
        if let Some(end) = self.one(source, spot, at, Role::Pickle, count) {
            self.behind(source, spot, end);
        }
    }

    /// A member of the tar layout that holds pickles with sizes between them.
    pub(super) fn tar_tensors(&mut self, source: &dyn Source, spot: &Spot) {
        let Some((mut at, count)) = self.counted_pickle(source, spot) else { return };
        for index in 0..count {
            let Some(next) = self.one(source, spot, at, Role::Pickle, index) else { return };
            let mut rank = [0; 4];
            let read = source.read_at(next, &mut rank);
            let rank = u64::try_from(i32::from_le_bytes(rank)).ok().filter(|_| read.is_ok());
            let len = rank.map(|rank| rank.saturating_mul(16).saturating_add(16));
            at = match len.map(|len| next.saturating_add(len)) {
                Some(end) if end <= source.len() => end,
                _ => {
                    let why = "a tensor's sizes are cut off";
                    return self.find(rules::BROKEN, spot.place(next), why);
                }
            };
        }
        self.behind(source, spot, at);
    }

    /// The pickle of a number, and where it ends.
    fn counted_pickle(&mut self, source: &dyn Source, spot: &Spot) -> Option<(u64, u64)> {
        let end = self.one(source, spot, 0, Role::Pickle, 0)?;
        let graph = self.graph(source, 0).ok()?;
        let count =
            graph.root().and_then(Object::as_int).and_then(|count| u64::try_from(count).ok());
        if count.is_none() {
            self.find(
                rules::BROKEN,
                spot.place(0),
                "no count stands here: what follows was not looked at",
            );
        }
        Some((end, count?))
    }
}

/// Where a count of elements and so many of them end.
fn counted(source: &dyn Source, at: u64, width: u64, key: &str) -> Result<u64, (u64, String)> {
    match legacy::counted(source, FileOffset(at), width) {
        Ok(Some(run)) if run.end().0 <= source.len() => Ok(run.end().0),
        Ok(_) => Err((at, format!("storage {key} is cut off"))),
        Err(why) => Err((at, why.to_string())),
    }
}
