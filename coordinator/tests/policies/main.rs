//! What must hold of every policy, whatever comes: a small world with tasks that wait for their
//! children, workers that die and launches that are refused, by seeds.

mod farspawn;
mod figures;
mod world;

use coordinator::placement::choice::Policy;
use world::World;

/// Every task ends, exactly once; the world itself checks the rest at each command.
fn run(policy: Policy, seed: u64, adjust: fn(&mut World)) {
    let mut world = World::new(policy, seed);
    adjust(&mut world);
    world.run();
    assert_eq!(world.ended, world.tasks.len(), "{policy}, seed {seed}: every task ends");
    assert!(world.workers_peak <= world.workers_max, "{policy}, seed {seed}");
}

fn each(adjust: fn(&mut World)) {
    for policy in Policy::ALL {
        for seed in 0..60 {
            run(policy, seed, adjust);
        }
    }
}

#[test]
fn tasks_are_conserved() {
    each(|_| {});
}

#[test]
fn tasks_survive_their_workers() {
    each(|world| world.deaths = 0.05);
}

#[test]
fn refused_launches_are_tried_again() {
    each(|world| world.refusals = 0.5);
}

#[test]
fn withdrawn_tasks_never_start() {
    each(|world| world.withdrawals = 0.2);
}

/// Parents that hold every place of a full pool, and children on whom they wait: only a policy that
/// lets children in gets out of it. The baseline and the paper's cannot, and do not promise it. No
/// policy can if they hold all of the memory.
#[test]
fn children_do_not_starve_behind_their_parents() {
    for seed in 0..100 {
        run(Policy::Farspawn, seed, |world| {
            world.workers_max = 2;
            world.shape.memory = 64 << 30;
            world.children = 0.9;
            world.parking = world::Parking::Unseen;
        });
        run(Policy::Farspawn, seed, |world| {
            world.workers_max = 1;
            world.shape.memory = 64 << 30;
            world.children = 0.9;
            world.deaths = 0.02;
            world.parking = world::Parking::Reported;
        });
    }
}
