/**
 * Decides when the page asks again: soon after an event, but at most once per interval however many events come, and
 * now and then without an event. This is a throttle; a debounce would never ask while events keep coming.
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

  /** `act` may return a promise, and is never called again before the promise has settled. */
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

  /** Call it when something has happened. */
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
