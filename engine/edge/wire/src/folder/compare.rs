//! What differs between two folders: only what changed is named, and of a directory that is new or gone
//! only itself.

use core::cmp::Ordering;

use super::{Node, join};

/// What happened to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Only the new folder has it.
    Added,
    /// Only the old one has it.
    Removed,
    /// Both have it, with other bytes, another link, or as something else.
    Modified,
}

/// An entry that is not the same in both folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Where, from the root.
    pub path: String,
    /// What happened.
    pub what: Difference,
    /// It is a directory, with all that is in it: the new one, or the old one if it is gone.
    pub is_directory: bool,
}

/// Changes from `old` to `new`, in the order of a walk. Both are entries of one directory, in the order of
/// their names and within the limits of a folder. `same` decides about two files of one path and size,
/// so that a caller need not know roots of files that differ anyway.
///
/// # Errors
/// The first that `same` reports.
pub fn compare<E>(
    old: &[Node],
    new: &[Node],
    mut same: impl FnMut(&str, &Node, &Node) -> Result<bool, E>,
) -> Result<Vec<Change>, E> {
    let mut changes = Vec::new();
    level(old, new, "", &mut same, &mut changes)?;
    Ok(changes)
}

fn level<E>(
    mut old: &[Node],
    mut new: &[Node],
    path: &str,
    same: &mut impl FnMut(&str, &Node, &Node) -> Result<bool, E>,
    changes: &mut Vec<Change>,
) -> Result<(), E> {
    while let Some(order) = turn(old, new) {
        match order {
            Ordering::Less => {
                changes.push(change(path, &old[0], Difference::Removed));
                old = &old[1..];
            }
            Ordering::Greater => {
                changes.push(change(path, &new[0], Difference::Added));
                new = &new[1..];
            }
            Ordering::Equal => {
                let (before, after) = (&old[0], &new[0]);
                (old, new) = (&old[1..], &new[1..]);
                let own = join(path, after.name());
                match (before.entries(), after.entries()) {
                    (Some(olds), Some(news)) => level(olds, news, &own, same, changes)?,
                    _ if is_same(&own, before, after, same)? => {}
                    _ => changes.push(change(path, after, Difference::Modified)),
                }
            }
        }
    }
    Ok(())
}

/// Which of two lists has the next name, or both; none when both are at their end.
fn turn(old: &[Node], new: &[Node]) -> Option<Ordering> {
    match (old.first(), new.first()) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(a), Some(b)) => Some(a.name().cmp(b.name())),
    }
}

fn change(path: &str, node: &Node, what: Difference) -> Change {
    Change {
        path: join(path, node.name()),
        what,
        is_directory: node.entries().is_some(),
    }
}

fn is_same<E>(
    path: &str,
    old: &Node,
    new: &Node,
    same: &mut impl FnMut(&str, &Node, &Node) -> Result<bool, E>,
) -> Result<bool, E> {
    match (old, new) {
        (Node::File { size: a, .. }, Node::File { size: b, .. }) => {
            Ok(a == b && (*a == 0 || same(path, old, new)?))
        }
        (Node::Symbolic { link: a, .. }, Node::Symbolic { link: b, .. }) => Ok(a == b),
        _ => Ok(false),
    }
}
