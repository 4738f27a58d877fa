//! Whom is asked for what, one step at a time; and, with steps drawn at random, that no chunk is lost,
//! no bound is passed and everything ends.

use std::time::Duration;

use commonware_cryptography::{Signer as _, ed25519::PrivateKey};
use lode_proofs::Hash32;
use lode_wire::Slice;
use proptest::prelude::*;

use super::*;

fn key(seed: u64) -> PublicKey {
    PrivateKey::from_seed(seed).public_key()
}

fn start() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn blob(seq: u64, chunks: u64) -> Blob {
    Blob {
        seq,
        root: Hash32([u8::try_from(seq).unwrap(); 32]),
        size: chunks * 262_144,
        start: 0,
    }
}

fn gap(seq: u64, chunks: u64) -> Gap {
    Gap {
        blob: blob(seq, chunks),
        missing: (0..chunks).collect(),
    }
}

fn whole(complete_below: u64) -> Hello {
    Hello {
        slice: Slice::WHOLE,
        next_seq: 100,
        complete_below,
    }
}

fn wants(fetch: &mut Fetch, now: SystemTime) -> Vec<(PublicKey, Want)> {
    std::iter::from_fn(|| fetch.next_want(now)).collect()
}

/// Two requests to each, and then nobody has room; when one has answered, it gets the next.
#[test]
fn asks_until_nobody_has_room() {
    let (mut fetch, now) = (Fetch::default(), start());
    for seed in [1, 2] {
        assert!(fetch.roster.hello(&key(seed), whole(0), now));
        assert!(
            !fetch.roster.hello(&key(seed), whole(0), now),
            "is here already"
        );
    }
    fetch.open(gap(0, 100)).unwrap();
    let asked = wants(&mut fetch, now);
    assert_eq!(asked.len(), 4);
    assert!(asked.iter().all(|(_, want)| want.indices.len() == WANT_MAX));
    assert_eq!(fetch.in_flight(), 2 * PEER_IN_FLIGHT_MAX);
    let (peer, want) = &asked[0];
    for (count, index) in (1..).zip(&want.indices) {
        let landing = fetch.have(peer, (want.id, *index), now).unwrap();
        fetch.landed(peer, landing, Landed::Kept);
        assert_eq!(wants(&mut fetch, now).len(), usize::from(count == WANT_MAX));
    }
    assert_eq!(fetch.missing(), 100 - 16);
}

/// Complete ones are asked first, even if busy; others when these are gone.
#[test]
fn prefers_the_complete() {
    let (mut fetch, now) = (Fetch::default(), start());
    fetch.roster.hello(&key(1), whole(0), now);
    fetch.roster.hello(&key(2), whole(1), now);
    fetch.open(gap(0, 64)).unwrap();
    let asked = wants(&mut fetch, now);
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|(peer, _)| *peer == key(2)));
    fetch.block(&key(2), now);
    let asked = wants(&mut fetch, now);
    assert!(!asked.is_empty() && asked.iter().all(|(peer, _)| *peer == key(1)));
}

/// Answers of others than were asked, or to what was not asked, or twice, are none.
#[test]
fn takes_what_it_asked_for() {
    let (mut fetch, now) = (Fetch::default(), start());
    fetch.roster.hello(&key(1), whole(0), now);
    fetch.open(gap(0, 3)).unwrap();
    let [(peer, want)] = &wants(&mut fetch, now)[..] else {
        panic!("one request");
    };
    assert_eq!(fetch.have(&key(2), (want.id, 0), now), None);
    assert_eq!(fetch.have(peer, (want.id + 1, 0), now), None);
    assert_eq!(fetch.have(peer, (want.id, 3), now), None);
    assert!(fetch.have(peer, (want.id, 0), now).is_some());
    assert_eq!(fetch.have(peer, (want.id, 0), now), None);
    fetch.lack(&key(2), want.id, &[1], now);
    assert_eq!(fetch.in_flight(), 3);
}

/// Who does not answer is late and rests, longer each time; who says no is only not asked again.
#[test]
fn the_silent_rest() {
    let (mut fetch, mut now) = (Fetch::default(), start());
    for round in 0..4 {
        fetch.roster.hello(&key(1), whole(0), now);
        fetch.open(gap(0, 1)).unwrap();
        assert_eq!(wants(&mut fetch, now).len(), 1, "round {round}");
        now += REQUEST_QUIET_MAX;
        fetch.roster.hello(&key(1), whole(0), now);
        fetch.expire(now);
        assert_eq!(fetch.in_flight(), 0);
        assert_eq!(wants(&mut fetch, now), []);
        let ended = Filled {
            seq: 0,
            kept: 0,
            given_up: 1,
        };
        assert_eq!(fetch.take_filled(), [ended]);
        let rest = Duration::from_secs(2 << round);
        assert!(
            fetch
                .roster
                .able(0, now + rest - Duration::from_secs(1))
                .is_empty()
        );
        now += rest;
        fetch.roster.hello(&key(1), whole(0), now);
    }
    assert_eq!(fetch.late(), 4);
    fetch.open(gap(0, 1)).unwrap();
    let (peer, want) = fetch.next_want(now).unwrap();
    fetch.lack(&peer, want.id, &[0], now);
    assert_eq!(fetch.next_want(now), None, "said no");
    assert_eq!(fetch.roster.able(0, now).len(), 1, "and does not rest");
}

/// Chunks that drip in do not keep a request alive for ever.
#[test]
fn the_slow_are_late_too() {
    let (mut fetch, mut now) = (Fetch::default(), start());
    let begin = now;
    fetch.roster.hello(&key(1), whole(0), now);
    fetch.open(gap(0, 16)).unwrap();
    let (peer, want) = fetch.next_want(now).unwrap();
    for index in 0..16 {
        now += REQUEST_QUIET_MAX - Duration::from_secs(1);
        fetch.roster.hello(&key(1), whole(0), now);
        fetch.expire(now);
        let Some(landing) = fetch.have(&peer, (want.id, index), now) else {
            assert!(now >= begin + REQUEST_WHOLE_MAX);
            return;
        };
        fetch.landed(&peer, landing, Landed::Kept);
    }
    panic!("never late");
}

/// What a peer says it has is news once, however often it takes it back.
#[test]
fn grows_once() {
    let (mut fetch, now) = (Fetch::default(), start());
    let mut says = |complete_below| {
        let hello = whole(complete_below);
        fetch.roster.hello(&key(1), hello, now);
        fetch.roster.grown(&key(1), &hello)
    };
    assert!(says(3).is_empty(), "who comes is news itself");
    assert_eq!(says(5), 3..5);
    assert!(says(2).is_empty());
    assert!(says(5).is_empty());
    assert_eq!(says(9), 5..9);
    assert!(fetch.roster.grown(&key(2), &whole(9)).is_empty());
}

/// What is open is told: what is missing, and who is asked for what. A gap that is closed keeps what
/// comes in time and asks nobody any more, not even for what was a lie.
#[test]
fn is_told_and_closed() {
    let (mut fetch, now) = (Fetch::default(), start());
    fetch.roster.hello(&key(1), whole(0), now);
    fetch.open(gap(7, 40)).unwrap();
    let asked = wants(&mut fetch, now);
    let window = fetch.windows().remove(&7).unwrap();
    assert_eq!((window.missing, window.first), (40, Some(0)));
    let peer = PeerKey::of(&key(1));
    let of = |first, end| Asked {
        peer,
        first,
        end,
        chunks: 16,
    };
    assert_eq!(window.from, [of(0, 16), of(16, 32)]);
    let (from, want) = &asked[0];
    let kept = fetch.have(from, (want.id, 0), now).unwrap();
    let lie = fetch.have(from, (want.id, 1), now).unwrap();
    fetch.close(7);
    assert_eq!(fetch.have(from, (want.id, 2), now), None);
    fetch.roster.hello(&key(2), whole(0), now);
    assert_eq!(wants(&mut fetch, now), []);
    assert_eq!(fetch.take_filled(), []);
    fetch.landed(from, kept, Landed::Kept);
    fetch.landed(from, lie, Landed::Lie);
    assert_eq!(wants(&mut fetch, now), []);
    let ended = Filled {
        seq: 7,
        kept: 1,
        given_up: 39,
    };
    assert_eq!(fetch.take_filled(), [ended]);
    assert_eq!((fetch.in_flight(), fetch.missing()), (0, 0));
    fetch.close(7);
}

/// What happens to a request next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Have(usize, Landed),
    Lack(usize),
    Pass(u64),
    Block(u64),
    Hello(u64, bool),
    Land,
    Close(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    let landed = prop_oneof![
        8 => Just(Landed::Kept),
        1 => Just(Landed::Failed),
        1 => Just(Landed::Lie)
    ];
    prop_oneof![
        30 => (any::<usize>(), landed).prop_map(|(at, landed)| Step::Have(at, landed)),
        10 => any::<usize>().prop_map(Step::Lack),
        4 => (0u64..20).prop_map(Step::Pass),
        1 => (0u64..5).prop_map(Step::Block),
        6 => (0u64..5, any::<bool>()).prop_map(|(seed, complete)| Step::Hello(seed, complete)),
        20 => Just(Step::Land),
        1 => (0u64..4).prop_map(Step::Close),
    ]
}

/// Slices of five peers: two of all, and three that keep a part.
fn slice(seed: u64) -> Slice {
    let of = [(0, 1), (0, 1), (0, 2), (1, 2), (3, 4)];
    let (id, count) = of[usize::try_from(seed).unwrap()];
    Slice::new(id, count).unwrap()
}

/// All that was asked for and not answered, and all that came and is not stored.
#[derive(Default)]
struct Model {
    asked: Vec<(PublicKey, u64, u64, u64)>,
    landing: Vec<(PublicKey, Landing, Landed)>,
    tried: BTreeSet<(u64, u64, PublicKey)>,
    kept: BTreeSet<(u64, u64)>,
    ended: Vec<Filled>,
}

impl Model {
    /// Takes the requests that are sent now: each is allowed, and none is asked twice of one.
    fn ask(&mut self, fetch: &mut Fetch, now: SystemTime) {
        for (peer, want) in wants(fetch, now) {
            assert!((1..=WANT_MAX).contains(&want.indices.len()));
            assert!(fetch.roster.is_here(&peer, now));
            let seq = u64::from(want.root.0[0]);
            let seed = (0..5).find(|seed| key(*seed) == peer).unwrap();
            for index in want.indices {
                assert!(slice(seed).keeps(0, index));
                assert!(self.tried.insert((seq, index, peer.clone())), "asked twice");
                self.asked.push((peer.clone(), want.id, seq, index));
            }
        }
        self.ended.extend(fetch.take_filled());
        assert!(fetch.in_flight() <= IN_FLIGHT_MAX);
        for seed in 0..5 {
            let able = fetch.roster.able(0, now);
            let peer = key(seed);
            let able = able.iter().find(|able| *able.key == peer);
            assert!(able.is_none_or(|able| able.in_flight <= PEER_IN_FLIGHT_MAX));
        }
    }

    fn land(&mut self, fetch: &mut Fetch, now: SystemTime) {
        if let Some((peer, landing, landed)) = self.landing.pop() {
            if landed == Landed::Kept {
                assert!(self.kept.insert((landing.seq, landing.index)), "kept twice");
            }
            fetch.landed(&peer, landing, landed);
            if landed == Landed::Lie {
                fetch.block(&peer, now);
            }
        }
    }

    fn step(&mut self, fetch: &mut Fetch, step: Step, now: &mut SystemTime) {
        match step {
            Step::Have(at, landed) if !self.asked.is_empty() => {
                let (peer, id, _, index) = self.asked.swap_remove(at % self.asked.len());
                // It may be late by now.
                if let Some(landing) = fetch.have(&peer, (id, index), *now) {
                    self.landing.push((peer, landing, landed));
                }
            }
            Step::Lack(at) if !self.asked.is_empty() => {
                let (peer, id, _, index) = self.asked.swap_remove(at % self.asked.len());
                fetch.lack(&peer, id, &[index], *now);
            }
            Step::Have(_, _) | Step::Lack(_) => {}
            Step::Pass(secs) => {
                *now += Duration::from_secs(secs);
                fetch.expire(*now);
            }
            Step::Block(seed) => fetch.block(&key(seed), *now),
            Step::Hello(seed, complete) => {
                let hello = Hello {
                    slice: slice(seed),
                    next_seq: 100,
                    complete_below: if complete { 50 } else { 0 },
                };
                fetch.roster.hello(&key(seed), hello, *now);
            }
            Step::Land => self.land(fetch, *now),
            Step::Close(seq) => {
                fetch.close(seq);
                let window = fetch.windows().remove(&seq);
                assert!(
                    window.is_none_or(|window| window.from.is_empty()),
                    "nobody is asked"
                );
            }
        }
    }
}

proptest! {
    /// Whatever peers do, every gap ends, every chunk of it is kept once or given up, and nothing is
    /// left in flight.
    #[test]
    fn every_gap_ends(steps in proptest::collection::vec(any_step(), 0..400)) {
        let (mut fetch, mut now) = (Fetch::default(), start());
        let mut model = Model::default();
        for seed in 0..5 {
            model.step(&mut fetch, Step::Hello(seed, seed == 1), &mut now);
        }
        let sizes = [1, 40, 100, 7];
        for (seq, chunks) in (0..).zip(sizes) {
            fetch.open(gap(seq, chunks)).unwrap();
        }
        for step in steps {
            model.step(&mut fetch, step, &mut now);
            model.ask(&mut fetch, now);
        }
        // At last all are silent.
        for _ in 0..20 {
            while !model.landing.is_empty() {
                model.land(&mut fetch, now);
            }
            now += REQUEST_WHOLE_MAX;
            fetch.expire(now);
            model.ask(&mut fetch, now);
        }
        prop_assert_eq!((fetch.in_flight(), fetch.missing()), (0, 0));
        prop_assert_eq!(model.ended.len(), sizes.len());
        for ended in &model.ended {
            let kept = model.kept.iter().filter(|(seq, _)| *seq == ended.seq).count();
            prop_assert_eq!(ended.kept, u64::try_from(kept).unwrap());
            let all = sizes[usize::try_from(ended.seq).unwrap()];
            prop_assert_eq!(ended.kept + ended.given_up, all);
        }
    }
}
