//! `crash power`: the filesystem forgets what it has not made durable, in the middle of a load.
//!
//! One round: node and control write to the same ext4 image; EXT4_IOC_SHUTDOWN without a flush of
//! the journal; kill; unmount; mount, which replays the journal; compare.
//!
//! The control is the proof of the method: plain buffered files without fdatasync, acknowledged
//! when `write` returns, on the same filesystem in the same round. It must be seen to lose.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    apart::Mounter,
    check::check,
    failure::{Failure, Outcome},
    image::Image,
    kill::{self, Report, Tally},
    load::Shape,
    node::Node,
    noise::{Noise, contents},
    setup::Setup,
};

/// Clients at a time.
const CLIENTS: u64 = 6;

/// Bytes of the image.
const IMAGE: u64 = 1 << 30;

/// Bytes that one client keeps.
const LIVE_LIMIT: u64 = 8 << 20;

/// A load runs this long before the cut, in ms, at least and at most.
const LOAD_MS: (u64, u64) = (300, 1500);

/// Bytes of a control file.
const CONTROL_LEN: u64 = 64 * 1024;

/// Time between two control files.
const CONTROL_PAUSE: Duration = Duration::from_millis(10);

/// What the control lost.
#[derive(Clone, Copy, Debug, Default)]
struct Control {
    acked: u64,
    lost: u64,
    rounds: u32,
}

/// Runs `rounds` cuts.
pub fn run(setup: &Setup, rounds: u32) -> Outcome<Report> {
    let began = Instant::now();
    let mut image = Image::new(setup.dir(), IMAGE, Mounter::Root)?;
    let store = image.path().join("store");
    let mut dice = Noise::new(setup.seed);
    let mut ledgers = kill::ledgers(setup, CLIENTS)?;
    let mut tally = Tally::default();
    let mut control = Control::default();
    let shape = Shape {
        live_limit: LIVE_LIMIT,
        until_full: false,
    };
    let mut node = Node::start(setup, &store)?;
    let backend = node.backend.clone();
    for round in 1..=rounds {
        let files = image.path().join(format!("control-{round}"));
        fs::create_dir(&files).map_err(Failure::machine("the control's folder"))?;
        image.sync()?;
        let span = Duration::from_millis(dice.between(LOAD_MS.0, LOAD_MS.1));
        let (seed, over) = (dice.draw(), AtomicBool::new(false));
        let acked = thread::scope(|scope| {
            let writer = scope.spawn(|| write_control(&files, seed, &over));
            let client = node.client();
            let cut = kill::under_load(&client, &mut ledgers, dice.draw(), shape, |signals| {
                setup.sleep(span)?;
                signals.going.store(true, SeqCst);
                image.cut_power()?;
                node.kill()
            });
            over.store(true, SeqCst);
            let acked = writer
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            cut.map(|()| acked)
        })?;
        tally.counts = kill::counts(&ledgers);
        image.unmount()?;
        image.mount()?;
        let lost = lost_control(&files, seed, acked);
        control.acked += acked;
        control.lost += lost;
        control.rounds += u32::from(lost > 0);
        fs::remove_dir_all(&files).map_err(Failure::machine("the control's folder"))?;
        node = Node::start(setup, &store)?;
        tally.ready(&node);
        tally.found = tally
            .found
            .and(check(&node.client(), &mut ledgers, dice.draw())?);
        setup.tell(&format!(
            "round {round}/{rounds}: {} acknowledged, 0 lost; control lost {lost} of {acked}",
            tally.counts.acked()
        ));
    }
    node.kill()?;
    image.unmount()?;
    judge(&tally, control)?;
    Ok(report(setup, &tally, control, rounds, &backend, began))
}

/// Writes files as a careless program does, until told to end or the filesystem is gone. Returns
/// how many `write` and `close` acknowledged.
fn write_control(dir: &Path, seed: u64, over: &AtomicBool) -> u64 {
    let mut acked = 0;
    while !over.load(SeqCst) {
        let bytes = contents(seed.wrapping_add(acked), CONTROL_LEN);
        if fs::write(dir.join(acked.to_string()), bytes).is_err() {
            break;
        }
        acked += 1;
        thread::sleep(CONTROL_PAUSE);
    }
    acked
}

/// Control files that are gone or have other contents.
fn lost_control(dir: &Path, seed: u64, acked: u64) -> u64 {
    let kept = (0..acked).filter(|index| {
        let want = contents(seed.wrapping_add(*index), CONTROL_LEN);
        fs::read(dir.join(index.to_string())).is_ok_and(|bytes| bytes == want)
    });
    acked - u64::try_from(kept.count()).unwrap_or(0)
}

fn judge(tally: &Tally, control: Control) -> Outcome<()> {
    if control.lost == 0 {
        let what = format!(
            "the control lost none of {} files that were never synced: no power was cut",
            control.acked
        );
        return Err(Failure::Method(what));
    }
    if tally.counts.puts == 0 || tally.found.blobs == 0 {
        return Err(Failure::Method("no put was acknowledged".to_owned()));
    }
    Ok(())
}

fn report(
    setup: &Setup,
    tally: &Tally,
    control: Control,
    rounds: u32,
    backend: &str,
    began: Instant,
) -> Report {
    let seconds = began.elapsed().as_secs();
    let mut json = tally.json();
    json["rounds"] = json!(rounds);
    json["backend"] = json!(backend);
    json["control"] = json!({
        "acked": control.acked, "lost": control.lost, "rounds_with_loss": control.rounds,
    });
    json["seed"] = json!(setup.seed);
    json["seconds"] = json!(seconds);
    let text = format!(
        "{rounds} power cuts on ext4, on {backend}, in {seconds} s (seed {})\n{}\n\
         control {} of {} unsynced files lost, in {} of {rounds} rounds: the cuts are real",
        setup.seed,
        tally.text(),
        control.lost,
        control.acked,
        control.rounds,
    );
    Report { json, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The control's own oracle sees a missing, an empty and a changed file.
    #[test]
    fn control_sees_loss() {
        let dir = tempfile::tempdir().unwrap();
        for index in 0..4 {
            fs::write(
                dir.path().join(index.to_string()),
                contents(9 + index, CONTROL_LEN),
            )
            .unwrap();
        }
        assert_eq!(lost_control(dir.path(), 9, 4), 0);
        fs::remove_file(dir.path().join("0")).unwrap();
        fs::write(dir.path().join("1"), "").unwrap();
        let mut changed = contents(11, CONTROL_LEN);
        changed[70] ^= 1;
        fs::write(dir.path().join("2"), changed).unwrap();
        assert_eq!(lost_control(dir.path(), 9, 4), 3);
    }

    /// A control that loses nothing fails the command.
    #[test]
    fn a_gentle_cut_is_no_proof() {
        let tally = Tally {
            counts: crate::ledger::Counts {
                puts: 1,
                ..Default::default()
            },
            found: crate::check::Found {
                blobs: 1,
                ..Default::default()
            },
            ready_ms: vec![1],
        };
        let control = Control {
            acked: 5,
            lost: 0,
            rounds: 0,
        };
        assert!(matches!(judge(&tally, control), Err(Failure::Method(_))));
        assert!(judge(&tally, Control { lost: 1, ..control }).is_ok());
    }
}
