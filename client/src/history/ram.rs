//! Histories in this process, gone when it ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures_util::future::{BoxFuture, ready};
use qwenda_types::chat::Message;
use serde_json::{Map, Value};

use super::{History, Kept, KeptInfo, check_id, conflict};
use crate::Result;

/// Histories in the memory of this process. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct RamHistory(Arc<Mutex<BTreeMap<String, Kept>>>);

impl RamHistory {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Kept>> {
        // Nothing panics while it is changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History for RamHistory {
    fn load<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<Kept>> {
        Box::pin(ready(check_id(id).map(|()| self.all().get(id).cloned().unwrap_or_default())))
    }

    fn append<'a>(
        &'a self,
        id: &'a str,
        after: usize,
        messages: Vec<Message>,
        notes: Map<String, Value>,
    ) -> BoxFuture<'a, Result<()>> {
        let done = check_id(id).and_then(|()| {
            let mut all = self.all();
            let there = all.get(id).map_or(0, |kept| kept.messages.len());
            if there != after {
                return Err(conflict(id, after, there));
            }
            let kept = all.entry(id.to_owned()).or_default();
            kept.messages.extend(messages);
            kept.notes = notes;
            Ok(())
        });
        Box::pin(ready(done))
    }

    fn list(&self) -> BoxFuture<'_, Result<Vec<KeptInfo>>> {
        let info = |(id, kept): (&String, &Kept)| KeptInfo { id: id.clone(), messages: kept.messages.len() as u64 };
        Box::pin(ready(Ok(self.all().iter().map(info).collect())))
    }

    fn delete<'a>(&'a self, id: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(ready(check_id(id).map(|()| self.all().remove(id).is_some())))
    }
}
