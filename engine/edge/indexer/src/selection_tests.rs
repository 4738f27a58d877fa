//! Selections compared with counting, chunk by chunk.

use proptest::prelude::*;

use super::*;

fn node(url: usize, id: u64, count: u64) -> ShardedNode {
    ShardedNode {
        url: format!("http://node{url}"),
        config: Slice::new(id, count).unwrap(),
        latency: 0,
        since: 0,
    }
}

fn nodes() -> impl Strategy<Value = Vec<ShardedNode>> {
    let slice = (0u32..5, any::<u64>()).prop_map(|(log, id)| (id % (1 << log), 1 << log));
    // Few names, so that some come twice.
    let named = (0usize..40, slice, 0i64..50);
    prop::collection::vec(named, 0..24).prop_map(|all| {
        let nodes = all
            .into_iter()
            .map(|(url, (id, count), latency)| ShardedNode {
                latency,
                ..node(url, id, count)
            });
        nodes.collect()
    })
}

fn methods() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::Min),
        Just(Method::Max),
        Just(Method::Random),
        (0u64..20).prop_map(Method::Exact),
    ]
}

/// How often each of the 16 residues is covered, by asking each node about each.
fn coverage(nodes: &[ShardedNode]) -> Vec<usize> {
    let covers = |residue| {
        nodes
            .iter()
            .filter(|node| node.config.keeps(0, residue))
            .count()
    };
    (0..16).map(covers).collect()
}

/// What may be taken: each URL once, and only slices of the wanted count.
fn allowed(nodes: &[ShardedNode], method: Method) -> Vec<ShardedNode> {
    let mut kept: Vec<ShardedNode> = Vec::new();
    for node in nodes {
        let fits = !matches!(method, Method::Exact(count) if node.config.count() != count);
        if fits && kept.iter().all(|other| other.url != node.url) {
            kept.push(node.clone());
        }
    }
    kept
}

proptest! {
    /// Every residue is covered exactly as often as asked, by nodes that are there, each once; and
    /// there is a selection just when all nodes together cover every residue that often.
    #[test]
    fn covers_exactly(nodes in nodes(), replica in 0u64..6, method in methods(), seed: u64) {
        let allowed = allowed(&nodes, method);
        let least = coverage(&allowed).into_iter().min().unwrap();
        let chosen = select(&nodes, replica, method, &mut Dice::new(seed));
        let possible = u64::try_from(least).unwrap() >= replica;
        prop_assert_eq!(chosen.is_some(), possible);
        prop_assert_eq!(reach(allowed.iter().map(|node| node.config)), u64::try_from(least).unwrap());
        if let Some(chosen) = chosen {
            let want = usize::try_from(replica).unwrap();
            prop_assert_eq!(coverage(&chosen), vec![want; 16]);
            let urls: BTreeSet<_> = chosen.iter().map(|node| &node.url).collect();
            prop_assert_eq!(urls.len(), chosen.len());
            prop_assert!(chosen.iter().all(|node| allowed.contains(node)));
        }
    }

    /// "min" takes as few nodes as can be, "max" at least as many as any other.
    #[test]
    fn prefers(nodes in nodes(), replica in 0u64..4, seed: u64) {
        let mut dice = Dice::new(seed);
        let mut count = |method| select(&nodes, replica, method, &mut dice).map(|all| all.len());
        let (min, any, max) = (count(Method::Min), count(Method::Random), count(Method::Max));
        prop_assert!(min <= any && any <= max, "{min:?} {any:?} {max:?}");
    }

    /// Discovered nodes give three fifths of the replicas or nothing, dropped ones nothing.
    #[test]
    fn shares(trusted in nodes(), discovered in nodes(), replica in 0u64..8, full: bool, seed: u64) {
        let nodes = ShardedNodes { trusted, discovered };
        let dropped: BTreeSet<String> = ["http://node1".to_owned()].into();
        let wanted = Wanted { replica, method: Method::Min, full_trusted: full, dropped };
        let chosen = choose(&nodes, &wanted, &mut Dice::new(seed));
        if let Ok(chosen) = chosen {
            let sum = chosen.trusted.iter().chain(&chosen.discovered).cloned().collect::<Vec<_>>();
            prop_assert_eq!(coverage(&sum), vec![usize::try_from(replica).unwrap(); 16]);
            prop_assert!(sum.iter().all(|node| node.url != "http://node1"));
            let foreign = coverage(&chosen.discovered)[0];
            let share = usize::try_from(replica * 3 / 5).unwrap();
            prop_assert!(foreign == 0 || (foreign == share && !full));
        }
    }
}

/// The largest counts there are neither overflow nor take long.
#[test]
fn odd_slices() {
    let half = 1 << 63;
    let deep = [node(0, half - 1, half), node(1, 0, half), node(2, 0, 1)];
    let mut dice = Dice::new(0);
    let min = select(&deep, 1, Method::Max, &mut dice).unwrap();
    assert_eq!(min, [deep[2].clone()]);
    assert!(select(&deep, 2, Method::Random, &mut dice).is_none());
    assert!(select(&deep, u64::MAX, Method::Min, &mut dice).is_none());
    assert_eq!(select(&[], 0, Method::Min, &mut dice), Some(vec![]));
    assert!(select(&[], 1, Method::Min, &mut dice).is_none());
    let wanted = Wanted {
        replica: u64::MAX,
        method: Method::Min,
        full_trusted: false,
        dropped: BTreeSet::new(),
    };
    let none = ShardedNodes::default();
    assert_eq!(choose(&none, &wanted, &mut dice), Err(Unmet));
}

/// Methods as clients write them.
#[test]
fn methods_by_name() {
    assert_eq!("min".parse(), Ok(Method::Min));
    assert_eq!("max".parse(), Ok(Method::Max));
    assert_eq!("random".parse(), Ok(Method::Random));
    assert_eq!("4".parse(), Ok(Method::Exact(4)));
    for odd in ["", "0", "-1", "MIN", "4.0", "99999999999999999999999"] {
        assert_eq!(odd.parse::<Method>(), Err(UnknownMethod), "{odd}");
    }
}
