//! Formats of the journal that the registered schedulers read and write.
//!
//! Promises: a format counts as supported only when every registered scheduler has announced it, this one included.
//! Leaves writing [`Event::FormatActivated`](lepton_domain::ledger::Event) to the leader, and refusing to follow it to a
//! scheduler that was away and is older.

use lepton_coordination::registry::{Directory, Instances};
use lepton_domain::ids::InstanceId;

#[cfg(test)]
mod tests;

/// Label of a scheduler's registry entry: the newest format that it supports. Schedulers that know only format 1 have
/// none.
pub(crate) const FORMAT_LABEL: &str = "journalFormat";

/// View of the formats that the schedulers support.
#[derive(Debug, Clone)]
pub(crate) struct SupportedFormats {
    directory: Directory,
    instance: InstanceId,
}

impl SupportedFormats {
    /// The view of this scheduler, by the registry.
    pub fn new(directory: Directory, instance: InstanceId) -> Self {
        Self { directory, instance }
    }

    /// Newest format that every registered scheduler supports; `None` while this one is not among them, as the view is
    /// not complete then.
    pub fn common(&self) -> Option<u32> {
        common(&self.directory.view().borrow(), &self.instance)
    }
}

fn common(schedulers: &Instances, own: &InstanceId) -> Option<u32> {
    schedulers.get(own)?;
    let announced = schedulers
        .values()
        .map(|scheduler| scheduler.metadata.get(FORMAT_LABEL)?.parse().ok());
    announced.map(|format| format.unwrap_or(1)).min()
}
