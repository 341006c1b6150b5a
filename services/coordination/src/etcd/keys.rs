//! The names of the mesh's keys in etcd, all below `/lepton/<cluster>/`.
//!
//! Promises: no key of the mesh is spelt anywhere else, and segments sort by their number. Leaves the values to
//! whoever owns the key.

/// Names keys for one cluster.
#[derive(Debug, Clone)]
pub struct Keys {
    root: String,
    manifest: String,
    incarnation: String,
}

impl Keys {
    /// The names for the cluster called `cluster`.
    pub fn new(cluster: &str) -> Self {
        let root = format!("/lepton/{cluster}");
        Self {
            manifest: format!("{root}/journal/manifest"),
            incarnation: format!("{root}/incarnation"),
            root,
        }
    }

    /// Registry key of an instance of a service.
    pub fn registry(&self, service: &str, instance: &str) -> String {
        format!("{}/registry/{service}/{instance}", self.root)
    }

    /// Prefix of the registry keys of a service's instances; of every service's for `None`.
    pub fn registry_prefix(&self, service: Option<&str>) -> String {
        match service {
            Some(service) => format!("{}/registry/{service}/", self.root),
            None => format!("{}/registry/", self.root),
        }
    }

    /// The key whose holder leads the service; its create revision is the epoch.
    pub fn leader(&self, service: &str) -> String {
        format!("{}/leader/{service}", self.root)
    }

    /// The key that limits how often a leader of the service is deposed.
    pub fn guard(&self, service: &str) -> String {
        format!("{}/guard/{service}", self.root)
    }

    /// The key that names the journal's snapshots.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// The journal's segment `n`.
    pub fn segment(&self, n: u64) -> String {
        format!("{}/journal/segment/{n:020}", self.root)
    }

    /// Prefix of the segments' keys.
    pub fn segment_prefix(&self) -> String {
        format!("{}/journal/segment/", self.root)
    }

    /// Chunk `k` of the snapshot called `id`.
    pub fn snapshot_chunk(&self, id: &str, k: u32) -> String {
        format!("{}/journal/snapshot/{id}/{k:010}", self.root)
    }

    /// Prefix of the keys of a snapshot's chunks.
    pub fn snapshot_prefix(&self, id: &str) -> String {
        format!("{}/journal/snapshot/{id}/", self.root)
    }

    /// Prefix of the keys of every snapshot's chunks.
    pub fn snapshots_prefix(&self) -> String {
        format!("{}/journal/snapshot/", self.root)
    }

    /// The key that a leader writes to prove that it still leads.
    pub fn confirmation(&self) -> String {
        format!("{}/journal/confirmation", self.root)
    }

    /// Key of a model's record.
    pub fn model(&self, name: &str) -> String {
        format!("{}/model/{name}", self.root)
    }

    /// Prefix of the models' keys.
    pub fn models_prefix(&self) -> String {
        format!("{}/model/", self.root)
    }

    /// The key that holds the cluster's incarnation.
    pub fn incarnation(&self) -> &str {
        &self.incarnation
    }

    /// The key that holds the secret under which leaders seal marks of the journal. Schedulers alone read it.
    pub fn mark_key(&self) -> String {
        format!("{}/mark_key", self.root)
    }

    /// The key that holds the text of the blob store's marker, from when the store has been marked.
    pub fn blob_marker(&self) -> String {
        format!("{}/blob_marker", self.root)
    }
}

/// Returns the first key after all those that start with `prefix`: the end of an etcd range, see the [API
/// guide](https://etcd.io/docs/v3.4/learning/api/).
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    // etcd reads a single zero byte as "to the end of the keys".
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_sort_by_number() {
        let keys = Keys::new("lepton");
        assert_eq!(keys.segment(7), "/lepton/lepton/journal/segment/00000000000000000007");
        assert!(keys.segment(9) < keys.segment(10));
        assert!(keys.segment(u64::MAX).len() == keys.segment(1).len());
    }

    #[test]
    fn a_prefix_ends_before_the_next_sibling() {
        assert_eq!(prefix_end(b"a/"), b"a0");
        assert_eq!(prefix_end(&[1, 255]), [2]);
        assert_eq!(prefix_end(&[255]), [0]);
    }
}
