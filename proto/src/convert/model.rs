//! Models as the services show them.
//!
//! Leaves a version's state, which depends on the workers, to the gateway.

use lepton_domain::model::{Model, NotDataType, Signature, Tensor, Version};

use super::time::timestamp;
use crate::model::v1 as wire;

impl From<&Tensor> for wire::Tensor {
    fn from(tensor: &Tensor) -> Self {
        Self {
            name: tensor.name.clone(),
            datatype: tensor.datatype.to_string(),
            shape: tensor.shape.clone(),
        }
    }
}

/// Reads what a model takes and gives.
pub fn read_signature(inputs: &[wire::Tensor], outputs: &[wire::Tensor]) -> Result<Signature, NotDataType> {
    let read = |tensor: &wire::Tensor| {
        Ok(Tensor {
            name: tensor.name.clone(),
            datatype: tensor.datatype.parse()?,
            shape: tensor.shape.clone(),
        })
    };
    Ok(Signature {
        inputs: inputs.iter().map(read).collect::<Result<_, _>>()?,
        outputs: outputs.iter().map(read).collect::<Result<_, _>>()?,
    })
}

/// A version of the model called `name`, of which no worker is known to have it.
pub fn version(name: &str, version: &Version) -> wire::ModelVersion {
    wire::ModelVersion {
        name: name.to_owned(),
        version: version.number,
        digest: version.digest.to_string(),
        state: wire::State::Stored.into(),
        create_time: Some(timestamp(version.created)),
        inputs: version.signature.inputs.iter().map(wire::Tensor::from).collect(),
        outputs: version.signature.outputs.iter().map(wire::Tensor::from).collect(),
        lineage: version.lineage.clone().into_iter().collect(),
        bytes: version.bytes,
        loaded_on: Vec::new(),
        message: String::new(),
    }
}

/// A model with its versions as `show` gives them, the newest first.
pub fn model(model: &Model, show: impl Fn(&Version) -> wire::ModelVersion) -> wire::Model {
    wire::Model {
        name: model.name.clone(),
        deployed_version: model.deployed.unwrap_or(0),
        versions: model.versions.iter().rev().map(show).collect(),
        previous_version: model.previous.unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use lepton_domain::ids::ContentDigest;
    use lepton_domain::model::DataType;
    use lepton_domain::time::Timestamp;

    use super::*;

    fn tensor() -> Tensor {
        Tensor {
            name: "x".to_owned(),
            datatype: DataType::Int64,
            shape: vec![-1, 2],
        }
    }

    #[test]
    fn signatures_survive_the_round_trip_and_unknown_types_are_named() {
        let wire = wire::Tensor::from(&tensor());
        assert_eq!(wire.datatype, "INT64");
        let read = read_signature(std::slice::from_ref(&wire), &[]).expect("known");
        assert_eq!(read.inputs, [tensor()]);
        let odd = wire::Tensor {
            datatype: "INT65".to_owned(),
            ..wire
        };
        assert_eq!(read_signature(&[], &[odd]), Err(NotDataType("INT65".to_owned())));
    }

    #[test]
    fn versions_are_shown_newest_first() {
        let one = |number| Version {
            number,
            digest: ContentDigest([1; 32]),
            blob: String::new(),
            bytes: 1,
            created: Timestamp::from_micros(1_000_000),
            signature: Signature::default(),
            lineage: Default::default(),
        };
        let mut kept = Model::new("m");
        kept.versions = vec![one(1), one(2)];
        kept.deployed = Some(1);
        let shown = model(&kept, |kept| version("m", kept));
        assert_eq!((shown.deployed_version, shown.previous_version), (1, 0));
        assert_eq!(shown.versions.iter().map(|it| it.version).collect::<Vec<_>>(), [2, 1]);
    }
}
