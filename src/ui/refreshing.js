/**
 * When the page asks again: soon after an event, but at most once in a while however many events come (a throttle: a
 * debounce would never ask while events keep coming), and now and then without any event.
 */
export class Refreshing {
  #act;
  #atMostEveryMs;
  #atLeastEveryMs;
  #timer;
  #isSoon = false;
  #isOn = false;
  #isActing = false;
  #lastMs = -Infinity;

  /** `act` may return a promise; it is never called again before that promise has settled. */
  constructor(act, { atMostEveryMs, atLeastEveryMs }) {
    this.#act = act;
    this.#atMostEveryMs = atMostEveryMs;
    this.#atLeastEveryMs = atLeastEveryMs;
  }

  start() {
    this.#isOn = true;
    this.soon();
  }

  stop() {
    this.#isOn = false;
    this.#isSoon = false;
    clearTimeout(this.#timer);
  }

  /** Something has happened. */
  soon() {
    if (!this.#isOn || this.#isSoon) return;
    this.#isSoon = true;
    if (!this.#isActing) this.#wait(Math.max(0, this.#lastMs + this.#atMostEveryMs - Date.now()));
  }

  #wait(ms) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#run(), ms);
  }

  async #run() {
    this.#isSoon = false;
    this.#isActing = true;
    this.#lastMs = Date.now();
    try {
      await this.#act();
    } finally {
      this.#isActing = false;
      if (this.#isOn) this.#wait(this.#isSoon ? this.#atMostEveryMs : this.#atLeastEveryMs);
    }
  }
}
