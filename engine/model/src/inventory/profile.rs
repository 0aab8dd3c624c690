//! The published quantisation profiles: which format each tensor has (spec/model.md 2.2).

use ds4_format::quant::Quant;

use super::{Role, WeightSpec};

/// A published mix of formats, named after its routed experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// IQ2_XXS gate and up, Q2_K down.
    Q2,
    /// Q4_K experts.
    Q4,
    /// Q2 with Q4_K experts in the layers 37 and above.
    Q2Q4,
    /// MXFP4 experts: the precision the model was trained in.
    Mxfp4,
    /// Q2 with Q4_K attention projections.
    Q2AttentionQ4,
    /// Q4 with Q4_K attention projections.
    Q4AttentionQ4,
}

impl Profile {
    /// Every profile with its name on the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("q2", Self::Q2),
        ("q4", Self::Q4),
        ("q2-q4", Self::Q2Q4),
        ("mxfp4", Self::Mxfp4),
        ("q2-aproj-q4", Self::Q2AttentionQ4),
        ("q4-aproj-q4", Self::Q4AttentionQ4),
    ];

    /// The profile of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, profile)| profile)
    }

    /// The format of a tensor in this profile.
    pub fn quant(self, spec: &WeightSpec) -> Quant {
        match spec.id.role {
            Role::ExpertGate | Role::ExpertUp => self.expert(spec, Quant::IQ2_XXS),
            Role::ExpertDown => self.expert(spec, Quant::Q2_K),
            Role::QueryA | Role::QueryB | Role::KeyValue | Role::OutputA | Role::OutputB
                if matches!(self, Self::Q2AttentionQ4 | Self::Q4AttentionQ4) =>
            {
                Quant::Q4_K
            }
            // The first accepted format of everything else is the published one.
            _ => spec.allowed.first().copied().unwrap_or(Quant::F32),
        }
    }

    fn expert(self, spec: &WeightSpec, two_bit: Quant) -> Quant {
        /// The splice of the q2 and q4 files begins here, in Flash.
        const FIRST_Q4_LAYER: u16 = 37;
        match self {
            Self::Q2 | Self::Q2AttentionQ4 => two_bit,
            Self::Q4 | Self::Q4AttentionQ4 => Quant::Q4_K,
            Self::Q2Q4 if spec.id.layer >= Some(FIRST_Q4_LAYER) => Quant::Q4_K,
            Self::Q2Q4 => two_bit,
            Self::Mxfp4 => Quant::MXFP4,
        }
    }
}
