//! What ends an answer, and what is reported of it.

use ds4_model::step::CancelToken;
use ds4_runtime::answer::{Answer, AnswerError, Event, Reading, Stop, answer};
use ds4_runtime::engine::{Engine, EngineError};
use ds4_runtime::generate::Flow;
use ds4_runtime::sampling::{SamplingError, SamplingOptions};
use ds4_text::{Special, TurnOptions};

use super::{CASE, Random, Rig, ask, request, session, tokenizer};
use crate::support::case::case;

fn prompt() -> Vec<u32> {
    Random::new(21).tokens(60)
}

/// A fresh session's answer.
fn fresh(engine: &mut Engine, request: &ds4_runtime::answer::Request<'_>) -> Answer {
    let mut session = session(engine);
    ask(engine, &mut session, request).expect("an answer")
}

fn refused(engine: &mut Engine, request: &ds4_runtime::answer::Request<'_>) -> AnswerError {
    let mut session = session(engine);
    ask(engine, &mut session, request).expect_err("must be refused")
}

#[test]
fn greedy_answers_are_the_oracles() {
    let wanted = case(CASE).generate();
    let ids = |key: &str| -> Vec<u32> {
        let ids = wanted[key].as_array().expect("a list");
        ids.iter().map(|id| id.as_u64().expect("an id") as u32).collect()
    };
    let (prompt, expected) = (ids("prompt_ids"), ids("greedy_ids_ds4kv"));
    for slack in [0, 1] {
        let mut engine = Rig { slack, ..Rig::default() }.engine();
        let mut request = request(&prompt, expected.len());
        request.sampling = SamplingOptions::greedy();
        let answer = fresh(&mut engine, &request);
        assert_eq!(answer.tokens, expected, "slack {slack}");
        assert_eq!(answer.stop, Stop::Limit);
    }
}

/// Sampling a step ahead of the host changes nothing, over page borders too.
#[test]
fn two_steps_in_flight_draw_the_same_tokens() {
    let prompt = prompt();
    let mut found = Vec::new();
    for slack in [0, 1, 3] {
        let mut engine = Rig { slack, ..Rig::default() }.engine();
        let answer = fresh(&mut engine, &request(&prompt, 300));
        println!("slack {slack}: {:.1} tokens/s", answer.metrics.decode_rate());
        found.push((answer.tokens, answer.metrics.logits_hash));
    }
    assert_eq!(found[0].0.len(), 300);
    assert!(found.iter().all(|other| *other == found[0]));
}

#[test]
fn the_context_ends_an_answer_and_too_long_prompts_are_refused() {
    let prompt = prompt();
    let mut engine = Rig { context: 64, ..Rig::default() }.engine();
    let answer = fresh(&mut engine, &request(&prompt, 100));
    // Positions 60 to 64; the last token needs no place in the cache.
    assert_eq!((answer.stop, answer.tokens.len()), (Stop::Context, 5));
    let exact = [&prompt[..], &[1, 2, 3, 4]].concat();
    assert_eq!(fresh(&mut engine, &request(&exact, 100)).tokens.len(), 1);
    let long = [&exact[..], &[5]].concat();
    let error = refused(&mut engine, &request(&long, 1));
    let full = AnswerError::Engine(EngineError::Full { context: 64, wanted: 66 });
    assert_eq!(error.to_string(), full.to_string());
    assert!(error.to_string().contains("-c 66"), "{error}");
}

#[test]
fn requests_that_cannot_be_met_are_refused() {
    let prompt = prompt();
    let mut engine = Rig::default().engine();
    assert!(matches!(refused(&mut engine, &request(&[], 1)), AnswerError::EmptyPrompt));
    assert!(matches!(refused(&mut engine, &request(&prompt, 0)), AnswerError::NoTokens));
    let mut bias = request(&prompt, 1);
    bias.sampling.logit_bias = vec![(512, 1.0)];
    let error = refused(&mut engine, &bias);
    assert!(matches!(error, AnswerError::Sampling(SamplingError::Token { token: 512, last: 511 })));
    for stop in [vec![String::new()], vec!["x".repeat(257)], vec!["x".into(); 17]] {
        let number = stop.len();
        let mut request = request(&prompt, 1);
        request.reading = Reading::Raw { stop };
        let error = refused(&mut engine, &request);
        assert!(matches!(error, AnswerError::StopString { number: found, .. } if found == number));
    }
    let mut unknown = request(&[600], 1);
    unknown.sampling = SamplingOptions::greedy();
    let error = refused(&mut engine, &unknown);
    assert!(error.to_string().contains("token 600 is not in the vocabulary"), "{error}");
    assert_eq!(engine.lanes_used(), 0);
}

#[test]
fn the_end_token_ends_a_turn_and_not_a_raw_answer() {
    let prompt = prompt();
    let mut engine = Rig::default().engine();
    let eos = tokenizer(&engine).eos().expect("an end token");
    let mut request = request(&prompt, 4);
    request.sampling.logit_bias = vec![(eos, 100.0)];
    assert_eq!(fresh(&mut engine, &request).tokens, [eos; 4]);
    request.reading = Reading::Turn(TurnOptions::default());
    let answer = fresh(&mut engine, &request);
    assert_eq!((answer.stop, answer.tokens.as_slice()), (Stop::EndOfTurn, &[eos][..]));
    assert_eq!(answer.turn.content, "");
}

#[test]
fn a_stop_string_is_found_across_tokens_and_not_shown() {
    let prompt = prompt();
    for slack in [0, 1] {
        let mut engine = Rig { slack, ..Rig::default() }.engine();
        let tokenizer = tokenizer(&engine);
        let mut request = request(&prompt, 40);
        let whole = fresh(&mut engine, &request);
        let text = whole.turn.content.clone();
        // From the last character of one token to the first of the next, somewhere in the middle.
        let (cut, at) = (10..35)
            .map(|i| (i, tokenizer.decode(&whole.tokens[..i]).len()))
            .find(|&(i, at)| {
                let around = text.get(at - 1..at + 1);
                around.is_some_and(|s| s.is_ascii() && text.find(s) == Some(at - 1)) && i > 0
            })
            .expect("two tokens that meet in ASCII");
        request.reading = Reading::Raw { stop: vec!["absent".into(), text[at - 1..at + 1].into()] };
        let mut session = session(&mut engine);
        let stopped = ask(&mut engine, &mut session, &request).expect("an answer");
        assert_eq!(stopped.stop, Stop::StopString(1));
        assert_eq!(stopped.turn.content, text[..at - 1], "slack {slack}");
        assert_eq!(stopped.tokens, whole.tokens[..=cut]);
        // The step that was ahead has been taken back: the session goes on as if it had not been.
        assert_eq!(session.tokens().len(), prompt.len() + cut);
        let longer = [&prompt[..], &whole.tokens[..=cut]].concat();
        let mut rest = super::request(&longer, 39 - cut);
        rest.sampling = request.sampling.clone();
        let rest = ask(&mut engine, &mut session, &rest).expect("an answer");
        assert_eq!(rest.reuse.reused, prompt.len() + cut);
        assert_eq!(rest.tokens, whole.tokens[cut + 1..]);
        assert_eq!(rest.metrics.logits_hash, whole.metrics.logits_hash);
    }
}

#[test]
fn the_think_budget_closes_reasoning() {
    let prompt = prompt();
    let mut engine = Rig::default().engine();
    let tokenizer = tokenizer(&engine);
    let [think, end] =
        [Special::Think, Special::EndThink].map(|special| tokenizer.require(special).expect("it"));
    let options = TurnOptions { thinking: true, ..TurnOptions::default() };
    for budget in [0, 1, 7, 20] {
        let mut request = request(&prompt, 60);
        // The model must neither close nor reopen its reasoning by itself, nor end.
        let never = [think, end, tokenizer.eos().expect("an end token")];
        request.sampling.logit_bias = never.iter().map(|&token| (token, -100.0)).collect();
        for special in Special::ALL.into_iter().filter_map(|special| tokenizer.special(special)) {
            if !never.contains(&special) {
                request.sampling.logit_bias.push((special, -100.0));
            }
        }
        request.reading = Reading::Turn(options.clone());
        request.think_budget = Some(budget);
        let answer = fresh(&mut engine, &request);
        let at = answer.tokens.iter().position(|&token| token == end).expect("it is closed");
        // A character may have to end first.
        assert!((budget..=budget + 3).contains(&at), "budget {budget}: closed after {at}");
        assert_eq!(answer.reasoning_tokens, at + 1);
        let reasoning = tokenizer.decode(&answer.tokens[..at]);
        assert_eq!(answer.turn.reasoning, reasoning, "budget {budget}");
        assert!(!answer.turn.content.is_empty());
        assert_eq!(answer.stop, Stop::Limit);
    }
}

#[test]
fn penalties_and_biases_change_what_is_drawn() {
    let prompt = prompt();
    let mut engine = Rig::default().engine();
    let mut request = request(&prompt, 40);
    request.sampling = SamplingOptions::greedy();
    let plain = fresh(&mut engine, &request).tokens;
    request.sampling.logit_bias = vec![(plain[0], f32::NEG_INFINITY)];
    let banned = fresh(&mut engine, &request).tokens;
    assert!(!banned.contains(&plain[0]));
    request.sampling = SamplingOptions { frequency_penalty: 2.0, ..SamplingOptions::greedy() };
    let distinct = |tokens: &[u32]| tokens.iter().collect::<std::collections::HashSet<_>>().len();
    let varied = fresh(&mut engine, &request).tokens;
    assert!(distinct(&varied) > distinct(&plain), "{varied:?} against {plain:?}");
    request.sampling = SamplingOptions { repetition_penalty: 10.0, ..SamplingOptions::greedy() };
    let fresh_words = fresh(&mut engine, &request).tokens;
    assert!(distinct(&fresh_words) > distinct(&plain));
}

#[test]
fn log_probabilities_belong_to_the_tokens() {
    let prompt = prompt();
    let mut engine = Rig::default().engine();
    let tokenizer = tokenizer(&engine);
    let mut request = request(&prompt, 10);
    request.sampling.top_log_probabilities = 20;
    let (mut session, cancel) = (session(&mut engine), CancelToken::default());
    let (mut tokens, mut positions) = (Vec::new(), Vec::new());
    let mut events = |event: Event<'_>| {
        if let Event::Token { position, sampled, reasoning } = event {
            let candidates = &sampled.candidates;
            assert_eq!((candidates.len(), reasoning), (20, false));
            let falling =
                candidates.windows(2).all(|w| w[0].log_probability >= w[1].log_probability);
            assert!(falling, "{candidates:?}");
            let sum: f32 = candidates.iter().map(|each| each.log_probability.exp()).sum();
            assert!(sum < 1.0 && candidates[0].log_probability < 0.0);
            let own = candidates.iter().find(|each| each.token == sampled.token.token);
            assert!(own.is_none_or(|own| own.log_probability == sampled.token.log_probability));
            tokens.push(sampled.token.token);
            positions.push(position);
        }
        Flow::Continue
    };
    let answer = answer(&mut engine, &mut session, &tokenizer, &request, &cancel, &mut events);
    assert_eq!(answer.expect("an answer").tokens, tokens);
    assert_eq!(positions, (60..70).collect::<Vec<_>>());
}

#[test]
fn events_tell_the_prefill_and_can_end_the_answer() {
    let prompt = Random::new(4).tokens(500);
    let mut engine = Rig { chunk: 128, ..Rig::default() }.engine();
    let tokenizer = tokenizer(&engine);
    let (mut session, cancel) = (session(&mut engine), CancelToken::default());
    let mut seen = Vec::new();
    let mut events = |event: Event<'_>| {
        if let Event::Prefill { done, total } = event {
            seen.push((done, total));
        }
        if seen.len() == 2 { Flow::Stop } else { Flow::Continue }
    };
    let asked = request(&prompt, 10);
    let stopped = answer(&mut engine, &mut session, &tokenizer, &asked, &cancel, &mut events);
    let stopped = stopped.expect("an answer");
    assert_eq!((stopped.stop, stopped.tokens.len()), (Stop::Abandoned, 0));
    assert_eq!(seen, [(128, 500), (256, 500)]);
    // What was computed is kept.
    let again = ask(&mut engine, &mut session, &asked).expect("an answer");
    assert_eq!(again.reuse.reused, 256);
    let metrics = again.metrics;
    assert_eq!((metrics.prefilled, metrics.generated), (244, 10));
    assert!(metrics.decode_bytes > 9 * 1_000_000, "{} bytes", metrics.decode_bytes);
    assert!(metrics.prefill_rate() > 0.0 && metrics.decode_rate() > 0.0);
}
