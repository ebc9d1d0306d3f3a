/**
 * Who tells people what became of a tick: the first living peer in rank, as with reports of missed ticks. Every peer keeps the
 * words that another one is to tell, and tells them itself if that one dies. What is told, and whether it has been told
 * already, the peer finds out on its disk (peer/notices.ts): so a second peer repeats nothing that it knows to be sent.
 */
import { mark } from "../probes/marks.ts";
import { isPlanted } from "../probes/planted.ts";
import type { Word } from "../records/words-state.ts";
import { dropOldWords, leaveWord, takeWords } from "../records/words.ts";
import { emit, type State } from "../state.ts";
import { isReporter } from "./facts.ts";

/** Within this time the peer whose turn it is was told by others, or has died, ms. */
const keptMs = 3_600_000;
/** How long a word from elsewhere waits, so that the record of its notice, if there is one, comes first; ms. */
const heardMs = 3_000;
/** How many words are looked at each second. Each costs a rank over all members. */
const wordsAtOnce = 200;

/** Called about once a second. */
export function announceWords(state: State): void {
  const { now, upkeep, ledger } = state;
  const { words } = ledger;
  dropOldWords(words, now.mono - keptMs);
  if (words.fresh.size === 0 || upkeep.warmUp !== undefined || upkeep.awaitingSync.size > 0) return;
  const waitsMs = isPlanted(state, "told-by-all") ? 0 : heardMs;
  const isReady = ({ isOwn, sinceMono }: Word) => isOwn || now.mono - sinceMono >= waitsMs;
  for (const word of takeWords(words, wordsAtOnce, isReady)) announce(state, word);
}

function announce(state: State, word: Word): void {
  const { job, tick } = word;
  if ((state.jobs.plans.get(job)?.notify.length ?? 0) === 0) return;
  const isItsTurn = isReporter(state, job, tick) || isPlanted(state, "told-by-all");
  if (!isItsTurn) return leaveWord(state.ledger.words, word);
  mark(state, "word-announced");
  emit(state, { kind: "announce", job, tick });
}
