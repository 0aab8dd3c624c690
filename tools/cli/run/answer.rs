//! From flags to an answer.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, bail};
use ds4_runtime::answer::{Request, Stop, answer, check_stops};
use ds4_runtime::session::{Session, SessionOptions};
use ds4_runtime::tokenizer::tokenizer;

use super::load::Size;
use super::output::Output;
use super::{LimitArgs, RunArgs, report, usage};
use crate::interrupt::{INTERRUPTED, Interrupt};
use crate::limits::{ANSWER_TOKENS_DEFAULT, CONTEXT_DEFAULT};
use crate::terminal::say;

/// Runs `ds4 run` with a prompt. What can be refused early is: flags, prompt, output files, the
/// model's directory, memory.
pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    args.prompt.check()?;
    let sampling = args.sampling.options(args.prompt.raw, args.output.dump_logprobs.is_some());
    // Sizes of the vocabulary are looked at when the model is known.
    sampling.check(u32::MAX as usize).map_err(|error| usage(error.to_string()))?;
    check_stops(&args.limits.stop).map_err(|error| usage(error.to_string()))?;
    let interrupt = Interrupt::install()?;
    let model = args.model.open(args.output.quiet)?;
    let text = args.prompt.text()?;
    let tokenizer = tokenizer(model.gguf.metadata(), model.shape.vocab)
        .with_context(|| model.path.display().to_string())?;
    sampling.check(model.shape.vocab)?;
    let (ids, reading) = args.prompt.tokens(text, &tokenizer, &model.path, &args.limits.stop)?;
    let context = args.limits.context(ids.len(), model.shape.context)?;
    let mut output = Output::new(&args.output, &tokenizer, interrupt.clone(), ids.len())?;
    let size = Size { context, lanes: 1, slack: 1 };
    let mut engine = args.model.load(model, &size, args.output.quiet)?;
    let mut session = Session::new(&mut engine, SessionOptions::default())?;
    let request = Request {
        prompt: &ids,
        limit: args.limits.limit.unwrap_or(context),
        sampling: sampling.clone(),
        reading,
        think_budget: args.prompt.think_budget,
        hash_logits: true,
    };
    interrupt.begin(ids.len());
    let cancel = interrupt.token();
    let answer = answer(&mut engine, &mut session, &tokenizer, &request, cancel, &mut |event| {
        output.event(event)
    })?;
    output.finish()?;
    if args.output.json {
        let object = report::object(&engine, &answer, ids.len(), &sampling);
        writeln!(std::io::stdout(), "{object:#}").context("cannot print")?;
    }
    let interrupted = answer.stop == Stop::Cancelled;
    if !args.output.quiet || interrupted {
        say(&report::line(&engine, &answer, ids.len(), &sampling));
    }
    interrupt.end();
    Ok(if interrupted { ExitCode::from(INTERRUPTED) } else { ExitCode::SUCCESS })
}

impl LimitArgs {
    /// Tokens of context for a prompt, in a model made for `maximum`.
    fn context(&self, prompt: usize, maximum: usize) -> anyhow::Result<usize> {
        let limit = self.limit.unwrap_or(ANSWER_TOKENS_DEFAULT);
        let wanted = prompt.saturating_add(limit);
        let context = self.context.unwrap_or(wanted.max(CONTEXT_DEFAULT).min(maximum));
        if prompt < context {
            return Ok(context);
        }
        if prompt >= maximum {
            bail!(
                "the prompt has {prompt} tokens; this model was made for {maximum}: shorten the \
                 prompt"
            );
        }
        let enough = wanted.min(maximum);
        bail!(
            "the prompt has {prompt} tokens, the context {context}: use -c {enough}, or shorten \
             the prompt"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::LimitArgs;

    fn context(
        limit: Option<usize>,
        context: Option<usize>,
        prompt: usize,
    ) -> Result<usize, String> {
        let args = LimitArgs { limit, context, stop: Vec::new() };
        args.context(prompt, 100_000).map_err(|error| error.to_string())
    }

    #[test]
    fn the_context_holds_prompt_and_answer() {
        assert_eq!(context(None, None, 10), Ok(32_768));
        assert_eq!(context(None, None, 30_000), Ok(38_192));
        assert_eq!(context(Some(50_000), None, 30_000), Ok(80_000));
        assert_eq!(context(None, None, 99_000), Ok(100_000));
        assert_eq!(context(Some(5), Some(100), 99), Ok(100));
        let small = context(None, Some(100), 100).unwrap_err();
        assert!(small.contains("100 tokens, the context 100: use -c 8292"), "{small}");
        let long = context(None, None, 100_000).unwrap_err();
        assert!(long.contains("made for 100000: shorten the prompt"), "{long}");
    }
}
