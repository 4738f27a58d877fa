//! Steps of the code's transforms for CPUs that multiply by matrices of bits: four rows, two layers of
//! the transform at once. Beside the checksums because the constants have the same form.

#[cfg(target_arch = "x86_64")]
use alloc::vec::Vec;

use super::Block;
#[cfg(target_arch = "x86_64")]
use super::{Field, gfni, has_gfni, on_cpu};

/// Four rows of one length, which lie equally far from each other.
pub(crate) type Four<'row> = [&'row mut [Block]; 4];

/// The constants of transforms, in the form that this CPU takes.
#[derive(Clone)]
pub(crate) struct Constants {
    #[cfg(target_arch = "x86_64")]
    matrices: Vec<gfni::Matrices>,
}

#[cfg(target_arch = "x86_64")]
impl Constants {
    /// Of constants their form, if this CPU has what it takes. Cost: 20 ns for each.
    pub(crate) fn new(constants: impl Iterator<Item = u16>) -> Option<Self> {
        let field = Field::new();
        has_gfni::get().then(|| Self {
            matrices: constants
                .map(|one| gfni::Matrices::new(field, one))
                .collect(),
        })
    }

    /// Both layers: first the rows that are two apart, with the first constant, then neighbours with
    /// one constant for each pair.
    pub(crate) fn transform(&self, rows: Four<'_>, places: [usize; 3]) {
        on_cpu::gfni_transform(rows, places.map(|place| &self.matrices[place]));
    }

    /// The way back, with the same constants.
    pub(crate) fn untransform(&self, rows: Four<'_>, places: [usize; 3]) {
        on_cpu::gfni_untransform(rows, places.map(|place| &self.matrices[place]));
    }
}

#[cfg(not(target_arch = "x86_64"))]
impl Constants {
    /// No other CPU has it.
    pub(crate) fn new(_: impl Iterator<Item = u16>) -> Option<Self> {
        None
    }

    /// Never asked for, as there are no constants.
    pub(crate) fn transform(&self, _: Four<'_>, _: [usize; 3]) {
        unreachable!("no CPU of this kind has constants");
    }

    /// Never asked for, as there are no constants.
    pub(crate) fn untransform(&self, _: Four<'_>, _: [usize; 3]) {
        unreachable!("no CPU of this kind has constants");
    }
}
