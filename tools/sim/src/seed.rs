//! A whole seed: lives that crash, damage between them, and a last inspection on a healthy disk.

use std::{cell::RefCell, ops::Range, path::Path, rc::Rc};

use lode_engine::{
    format::{
        footer::Pointer,
        page::{PAGE, PAYLOAD},
    },
    planted::{Bug, plant},
    store::BlobInfo,
};
use lode_world::{
    Disk, World,
    sim::{Crash, Faults, Sim, SimWorld, Stop},
};

use crate::{
    dice::Dice,
    inspect,
    life::{self, DIR, Life},
    model::Model,
    plan::{Plan, Profile},
    tally::Tally,
};

/// What a seed came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Its profile.
    pub profile: Profile,
    /// Digest of every event and every answer.
    pub trace: u64,
    /// What was found.
    pub failure: Option<String>,
    /// Counters.
    pub tally: Tally,
    /// A readable account, if one was asked for.
    pub log: Vec<String>,
    /// The machine's last events, if something was found.
    pub events: String,
}

/// Runs a seed once, on a store that has a bug if one is given.
pub fn run(seed: u64, profile: Option<Profile>, bug: Option<Bug>, log: bool) -> Report {
    let plan = Plan::draw(seed, profile);
    let sim = Sim::new(seed, plan.faults.clone());
    plant(&sim, bug);
    let model = Model::new(plan.blobs.clone(), plan.profile, log);
    let mut course = Course {
        dice: plan.dice.clone(),
        model: Rc::new(RefCell::new(model)),
        plan,
        sim,
    };
    course.note(|plan| {
        format!(
            "seed {seed}, profile {}: {} shards, segments of {} KiB, {} blobs, {} lives",
            plan.profile.name(),
            plan.shards,
            plan.segment_len >> 10,
            plan.blobs.len(),
            plan.lives
        )
    });
    course.all();
    course.report()
}

/// A seed on its way.
struct Course {
    plan: Plan,
    sim: Sim,
    model: Rc<RefCell<Model>>,
    dice: Dice,
}

impl Course {
    fn note(&self, text: impl FnOnce(&Plan) -> String) {
        self.model.borrow_mut().note(|| text(&self.plan));
    }

    fn found(&self) -> bool {
        self.model.borrow().failure().is_some()
    }

    fn all(&mut self) {
        for _ in 0..self.plan.lives {
            self.life();
            if self.found() {
                return;
            }
        }
        self.healthy();
        self.last();
    }

    /// One life and its end.
    fn life(&mut self) {
        let ordered = matches!(
            self.plan.profile,
            Profile::Calm | Profile::Spare | Profile::Spot
        );
        let mut faults = self.plan.faults.clone();
        let crashes = !ordered && self.dice.percent(75);
        if crashes {
            let most = self.dice.weighted(&[(1, 20_u64), (2, 120), (2, 900)]);
            faults.crash_after_ios = Some(self.dice.within(1..=most));
        }
        self.sim.set_faults(faults);
        let life = Life {
            executors: self.dice.index(3) + 1,
            clients: self.dice.index(5) + 1,
            acts: self.dice.within(2..=20),
            looks: self.dice.percent(50),
            closes: self.plan.profile == Profile::Spare
                || self.plan.profile == Profile::Spot
                || self.dice.percent(50),
            dice: self.dice.split(),
        };
        self.note(|_| {
            format!(
                "life of {} executors, {} clients",
                life.executors, life.clients
            )
        });
        let ended = self.sim.run(async |world| self.live(&world, &life).await);
        self.model.borrow_mut().life_over();
        self.end(ended);
    }

    async fn live(&self, world: &SimWorld, life: &Life) {
        let work = async {
            let stores = match life::open(world, &self.plan.options(), life.executors).await {
                Ok(stores) => stores,
                Err(error) => return self.model.borrow_mut().error(&error, "open"),
            };
            if life.looks {
                let mut dice = life.dice.clone();
                inspect::look(&stores[0], &self.model, &mut dice).await;
            }
            life::live(world, &stores, life, &self.model).await;
        };
        if life::patiently(world, work).await.is_none() {
            self.model.borrow_mut().fail("nothing moves any more");
        }
    }

    /// What follows a life: nothing, a kill, a power loss, damage.
    fn end(&mut self, ended: Result<(), Stop>) {
        let stopped = match ended {
            Err(stop @ (Stop::Deadlock { .. } | Stop::Endless { .. })) => {
                return self.model.borrow_mut().fail(stop);
            }
            Err(Stop::Crashed) => true,
            Ok(()) => false,
        };
        let ends = match self.plan.profile {
            Profile::Calm => &[(1, None), (1, Some(Crash::Kill))][..],
            Profile::Spare | Profile::Spot => &[(1, None)],
            _ => &[(1, None), (2, Some(Crash::Kill)), (4, Some(Crash::Power))],
        };
        let crash = self.dice.weighted(ends).or(stopped.then_some(Crash::Kill));
        let what = match crash {
            None => "none, the process just ends",
            Some(Crash::Kill) => "kill",
            Some(Crash::Power) => "power",
        };
        if let Some(crash) = crash {
            self.sim.crash(crash);
        }
        self.model.borrow_mut().tally.one("crash", what);
        self.note(|_| format!("crash: {what}"));
        match self.plan.profile {
            Profile::Spare => self.spoil_spare(),
            Profile::Spot => self.spoil_segments(),
            Profile::Rot => self.spoil_anything(),
            _ => {}
        }
    }

    fn count_damage(&self, what: &'static str) {
        self.model.borrow_mut().tally.one("damage", what);
        self.note(|_| format!("damage: {what}"));
    }

    /// Damages what the store keeps twice, or can make again from the rest.
    fn spoil_spare(&mut self) {
        let files = self.sim.files();
        let all = |prefix: &str| {
            let files = files.iter();
            let named = files.filter(|(path, len)| name(path).starts_with(prefix) && *len > 0);
            named.cloned().collect::<Vec<_>>()
        };
        match self.dice.below(5) {
            0 | 1 => {
                for (path, len) in all("checkpoint-") {
                    self.sim.flip(path, 0..len);
                }
                self.count_damage("checkpoints");
            }
            2 => {
                let copy = self.dice.below(4);
                self.sim
                    .rot(format!("{DIR}/SUPER"), copy * 4096..copy * 4096 + 600);
                self.count_damage("copy of the superblock");
            }
            // Without its footer, or the last page that points to it, a segment's frames are walked.
            3 => {
                let entries = self.dice.percent(50);
                for (path, len) in all("segment-") {
                    let footer = self.footer_of(&path).filter(|_| entries);
                    self.sim.flip(path, footer.unwrap_or(len - 4096..len));
                }
                self.count_damage("footers");
                for (path, len) in all("checkpoint-") {
                    self.sim.flip(path, 0..len);
                }
            }
            _ => {
                let copy = self.dice.below(2);
                for (path, _) in all("segment-") {
                    self.sim.flip(path, copy * 4096..copy * 4096 + 4096);
                }
                self.count_damage("copy of segment heads");
            }
        }
    }

    /// Where a closed segment has its footer.
    fn footer_of(&self, path: &str) -> Option<Range<u64>> {
        let bytes = self.sim.contents(path)?;
        let last = bytes.len().checked_sub(PAGE)?;
        let pointer = Pointer::decode(&bytes[last..last + PAYLOAD]).ok()?;
        let first = u64::from(pointer.first) * 4096;
        Some(first..first + u64::from(pointer.pages) * 4096)
    }

    /// Flips a few bits in segments.
    fn spoil_segments(&mut self) {
        let files = self.sim.files();
        let segments: Vec<_> = files
            .into_iter()
            .filter(|(path, len)| name(path).starts_with("segment-") && *len > 0)
            .collect();
        if segments.is_empty() {
            return;
        }
        for _ in 0..self.dice.within(1..=3) {
            let (path, len) = self.dice.pick(&segments).clone();
            self.sim.flip(path, 0..len);
            self.count_damage("bit of a segment");
        }
    }

    /// Flips bits and breaks sectors of any file but the superblock.
    fn spoil_anything(&mut self) {
        let files = self.sim.files();
        let files: Vec<_> = files
            .into_iter()
            .filter(|(path, len)| name(path) != "SUPER" && *len > 0)
            .collect();
        for _ in 0..self.dice.below(4) {
            let Some((path, len)) = files.get(self.dice.index(files.len().max(1))) else {
                return;
            };
            let at = self.dice.below(*len);
            if self.dice.percent(30) {
                self.sim.break_reads(path, at..at + 1);
                self.count_damage("dead sector");
            } else {
                self.sim.flip(path, at..(at + 4096).min(*len));
                self.count_damage("bit of a file");
            }
        }
    }

    /// The disk is as good as new from here on.
    fn healthy(&mut self) {
        self.sim.set_faults(Faults {
            capacity: self.plan.faults.capacity,
            steps_max: self.plan.faults.steps_max,
            ..Faults::default()
        });
    }

    /// Three starts on a healthy disk: everything is there, the store takes and keeps a blob, and
    /// it comes back the same after it was closed, from checkpoints or from the log alone.
    fn last(&mut self) {
        self.note(|_| "last inspection".to_owned());
        let mut dice = self.dice.split();
        let Some(first) = self.healthy_run(&mut dice, true) else {
            return;
        };
        if self.dice.percent(50) {
            self.sim.crash(Crash::Power);
        }
        if self.dice.percent(50) {
            self.drop_checkpoints();
        }
        let Some(second) = self.healthy_run(&mut dice, false) else {
            return;
        };
        if first != second && self.plan.profile.strict() {
            let what = format!("a restart changes the list from {first:?} to {second:?}");
            self.model.borrow_mut().fail(what);
        }
    }

    fn drop_checkpoints(&mut self) {
        self.note(|_| "checkpoints are removed".to_owned());
        let files = self.sim.files();
        let removed = self.sim.run(async |world| {
            for (path, _) in files {
                if name(&path).starts_with("checkpoint-") {
                    world.disk().remove(Path::new(&path)).await?;
                }
            }
            Ok::<(), std::io::Error>(())
        });
        if !matches!(removed, Ok(Ok(()))) {
            self.model
                .borrow_mut()
                .fail("the simulation cannot remove a checkpoint");
        }
    }

    /// Opens, inspects and closes on a healthy disk; what the store lists at the end.
    fn healthy_run(&mut self, dice: &mut Dice, first: bool) -> Option<Vec<BlobInfo>> {
        let executors = dice.index(3) + 1;
        let options = self.plan.options();
        let model = Rc::clone(&self.model);
        let strict = self.plan.profile.strict();
        let ended = self.sim.run(async |world| {
            let work = async {
                let stores = match life::open(&world, &options, executors).await {
                    Ok(stores) => stores,
                    Err(error) => {
                        model.borrow_mut().error(&error, "last open");
                        return None;
                    }
                };
                let store = &stores[0];
                let mut list = inspect::look(store, &model, dice).await;
                if first && model.borrow().failure().is_none() {
                    if strict || model.borrow().profile == Profile::Spot {
                        inspect::lively(&world, store, &model, dice).await;
                    }
                    inspect::scrubbed(store, &model).await;
                    list = store.list(None, 1000).await.unwrap_or_default();
                }
                inspect::close_soon(&world, &stores, &model).await;
                Some(list)
            };
            life::patiently(&world, work).await
        });
        self.model.borrow_mut().life_over();
        let list = match ended {
            Ok(Some(list)) => list,
            Ok(None) => {
                self.model.borrow_mut().fail("nothing moves any more");
                None
            }
            Err(stop) => {
                self.model.borrow_mut().fail(stop);
                None
            }
        };
        list.filter(|_| !self.found())
    }

    fn report(self) -> Report {
        let mut model = self.model.borrow_mut();
        let mut tally = model.tally.clone();
        tally.machine(&self.sim.counts());
        let failure = model.failure().cloned();
        let events = if failure.is_some() {
            self.sim.log()
        } else {
            String::new()
        };
        Report {
            seed: self.plan.seed,
            profile: self.plan.profile,
            trace: self.sim.trace() ^ model.digest(),
            failure,
            tally,
            log: model.take_log(),
            events,
        }
    }
}

/// Last part of a path.
fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}
