//! The same seed gives the same text, whatever else happens.

use ds4_model::plan::LogitRows;
use ds4_model::step::{CancelToken, Token};
use ds4_runtime::engine::{Engine, Extend, LaneId};
use ds4_runtime::sampling::{Sampler, SamplingOptions};
use ds4_runtime::session::{Session, SessionOptions, Source};

use super::{Random, Rig, ask, cold, request, session};

/// Tokens drawn in every run.
const TOKENS: usize = 60;

fn prompt() -> Vec<u32> {
    Random::new(8).tokens(150)
}

#[test]
fn another_seed_gives_another_text() {
    let prompt = prompt();
    let (alone, _) = cold(&request(&prompt, TOKENS), Rig::default());
    assert_eq!(alone.len(), TOKENS);
    assert_eq!(cold(&request(&prompt, TOKENS), Rig::default()).0, alone);
    let mut other = request(&prompt, TOKENS);
    other.sampling.seed += 1;
    assert_ne!(cold(&other, Rig::default()).0, alone);
}

/// Runs three sequences in the same steps and returns what each one draws.
fn together(engine: &mut Engine, prompts: &[Vec<u32>; 3], seeds: [u64; 3]) -> Vec<Vec<u32>> {
    let vocab = engine.model.shape.vocab;
    let cancel = CancelToken::default();
    let lanes: Vec<LaneId> = prompts.iter().map(|_| engine.new_lane().expect("a lane")).collect();
    let parameters = seeds.map(|seed| {
        let options = SamplingOptions { seed, ..SamplingOptions::default() };
        Sampler::new(options, vocab, &[]).expect("options").parameters(None)
    });
    let mut drawn = vec![Vec::new(); 3];
    for step in 0..TOKENS {
        let extend = |i: usize| {
            let tokens = match step {
                0 => prompts[i].iter().copied().map(Token::Id).collect(),
                _ => vec![Token::Sampled],
            };
            Extend { lane: lanes[i], tokens, sampling: Some(parameters[i].clone()) }
        };
        let extends: Vec<Extend> = (0..3).map(extend).collect();
        let (result, _) = engine.extend(&extends, LogitRows::Last, &[], &cancel).expect("a step");
        for (drawn, sampled) in drawn.iter_mut().zip(&result.sampled) {
            drawn.push(sampled.token.token);
        }
    }
    lanes.into_iter().for_each(|lane| engine.drop_lane(lane).expect("a lane"));
    drawn
}

#[test]
fn same_seed_in_three_lanes() {
    let mut random = Random::new(9);
    let (alone, _) = cold(&request(&prompt(), TOKENS), Rig::default());
    let mut engine = Rig { lanes: 3, ..Rig::default() }.engine();
    for place in 0..3 {
        let mut prompts = [random.tokens(31), random.tokens(90), random.tokens(200)];
        let mut seeds = [1, 2, 3];
        (prompts[place], seeds[place]) = (prompt(), 7);
        let drawn = together(&mut engine, &prompts, seeds);
        assert_eq!(drawn[place], alone, "lane {place}");
        assert_ne!(drawn[(place + 1) % 3], alone);
    }
}

#[test]
fn same_seed_after_a_rewind() {
    let (alone, hash) = cold(&request(&prompt(), TOKENS), Rig::default());
    let mut engine = Rig { slack: 8, ..Rig::default() }.engine();
    let mut session = session(&mut engine);
    for (kept, source) in [
        // Tokens of the answer that stay; 150 of the prompt before them.
        (TOKENS - 1, Source::Nothing),
        (TOKENS - 5, Source::Rewind),
        (20, Source::Checkpoint),
        (0, Source::Checkpoint),
    ] {
        let start = [prompt(), alone[..kept].to_vec()].concat();
        let answer = ask(&mut engine, &mut session, &request(&start, TOKENS - kept)).expect("text");
        assert_eq!(answer.reuse.source, source, "{kept} kept");
        assert_eq!(answer.tokens, alone[kept..], "{kept} kept");
        assert_eq!(answer.metrics.logits_hash, hash);
    }
}

#[test]
fn same_seed_after_a_resume() {
    let (alone, hash) = cold(&request(&prompt(), TOKENS), Rig::default());
    for kept in [1, 17, 40] {
        let saved = {
            let mut engine = Rig::default().engine();
            let mut session = session(&mut engine);
            ask(&mut engine, &mut session, &request(&prompt(), kept)).expect("an answer");
            session.save(&mut engine).expect("a lane")
        };
        let mut engine = Rig::default().engine();
        let mut session =
            Session::resume(&mut engine, &saved, SessionOptions::default()).expect("a lane");
        let start = [prompt(), alone[..kept].to_vec()].concat();
        let answer = ask(&mut engine, &mut session, &request(&start, TOKENS - kept)).expect("text");
        assert_eq!(answer.reuse.source, Source::Live);
        assert_eq!(answer.tokens, alone[kept..], "{kept} kept");
        assert_eq!(answer.metrics.logits_hash, hash);
    }
}
