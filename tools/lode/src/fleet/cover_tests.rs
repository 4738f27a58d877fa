//! Choices compared with counting, chunk by chunk, while one node after the other is lost.

use super::*;
use crate::noise::Noise;

/// Chunks after which all slices of these tests repeat.
const PERIOD: u64 = 16;

/// How often a chunk is held, by asking each node.
fn held(slices: &[Slice], those: impl Fn(usize) -> bool, chunk: u64) -> u64 {
    let keeps = |(at, slice): &(usize, &Slice)| those(*at) && slice.keeps(0, chunk);
    let count = slices.iter().enumerate().filter(keeps).count();
    u64::try_from(count).unwrap()
}

struct Chance(Noise);

impl Chance {
    fn below(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_le_bytes(bytes) % bound
    }

    fn slices(&mut self) -> Vec<Slice> {
        let slice = |chance: &mut Chance| {
            let count = 1 << chance.below(5);
            Slice::new(chance.below(count), count).unwrap()
        };
        (0..self.below(24)).map(|_| slice(self)).collect()
    }
}

/// Every chunk is held exactly as often as asked, by nodes that are not gone, as long as those could hold
/// it so often; else a slice is named that they do not. Who was chosen stays so until it is gone itself.
#[test]
fn covers_and_keeps() {
    let mut chance = Chance(Noise::new(11));
    let (mut covered, mut lacking) = (0, 0);
    for _ in 0..3000 {
        let slices = chance.slices();
        let replicas = 1 + chance.below(3);
        let mut gone = BTreeSet::new();
        let mut before: Option<BTreeSet<usize>> = None;
        loop {
            let is_left = |at: usize| !gone.contains(&at);
            let least = (0..PERIOD).map(|chunk| held(&slices, is_left, chunk)).min();
            match choose(&slices, &gone, replicas) {
                Ok(chosen) => {
                    covered += 1;
                    assert!(chosen.is_disjoint(&gone));
                    for chunk in 0..PERIOD {
                        let times = held(&slices, |at| chosen.contains(&at), chunk);
                        assert_eq!(times, replicas, "{slices:?} {gone:?} {chunk}");
                    }
                    if let Some(before) = before {
                        let stayed: BTreeSet<usize> = before.difference(&gone).copied().collect();
                        assert!(stayed.is_subset(&chosen), "{slices:?} {gone:?}");
                    }
                    // Lose one of those that matter.
                    let lost = usize::try_from(chance.below(64)).unwrap() % chosen.len();
                    gone.extend(chosen.iter().nth(lost));
                    before = Some(chosen);
                }
                Err(found) => {
                    lacking += 1;
                    assert!(least.unwrap() < replicas, "{slices:?} {gone:?}");
                    assert!(found.held < replicas);
                    let mut of_it = (0..PERIOD).filter(|chunk| found.slice.keeps(0, *chunk));
                    let as_often = |chunk| held(&slices, is_left, chunk) == found.held;
                    assert!(of_it.all(as_often), "{slices:?} {gone:?} {found:?}");
                    break;
                }
            }
        }
    }
    assert!(covered > 1000 && lacking == 3000, "{covered} {lacking}");
}

/// The gap is named in the words that an operator uses, and the smallest slices there are end the search.
#[test]
fn names_the_gap() {
    let slice = |id, count| Slice::new(id, count).unwrap();
    let lacking = |slices: &[Slice], replicas| {
        let chosen = choose(slices, &BTreeSet::new(), replicas);
        chosen.unwrap_err().to_string()
    };
    assert_eq!(
        lacking(&[slice(0, 2)], 1),
        "slice 1 of 2 of the flow is kept by 0 of the nodes that answer"
    );
    let four = [slice(0, 2), slice(1, 4)];
    assert!(lacking(&four, 1).starts_with("slice 3 of 4 of the flow is kept by 0"));
    assert!(lacking(&four, 2).starts_with("slice 0 of 2 of the flow is kept by 1"));
    assert!(lacking(&[], 1).starts_with("slice 0 of 1 of the flow is kept by 0"));
    let deepest = 1 << 63;
    let lone = [slice(deepest - 1, deepest)];
    assert!(lacking(&lone, 1).starts_with("slice 0 of 2 of the flow"));
}
