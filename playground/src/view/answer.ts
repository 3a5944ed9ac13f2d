// An answer on the page.

import type { Citation } from "../../gen/bedrock/inference/v1/citation_pb";
import type { Block } from "../answer";
import { type BlockView, blockView, sourceText } from "./blocks";
import { h } from "./dom";

export class AnswerView {
  readonly element = h("div", { className: "answer" });
  private readonly views = new Map<Block, BlockView>();
  private readonly changed = new Set<Block>();
  private readonly sources = h("ol", { className: "sources", "aria-label": "Sources" });
  private frame = 0;

  /** `shown` is called whenever something new is on the page. */
  constructor(private readonly shown: () => void) {}

  /**

   * Updates a block with the next animation frame, because tokens can arrive faster than the

   * screen refreshes.

   */
  update(block: Block): void {
    this.changed.add(block);
    // Pages in the background get no animation frames, and need none.
    this.frame ||= requestAnimationFrame(() => this.flush());
  }

  /** Shows everything that has arrived. */
  flush(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    for (const block of this.changed) {
      this.view(block).update();
    }
    this.changed.clear();
    this.shown();
  }

  private view(block: Block): BlockView {
    let view = this.views.get(block);
    if (!view) {
      view = blockView(block, (citation) => this.cite(citation));
      this.views.set(block, view);
      this.place(block, view);
    }
    return view;
  }

  /** Text continues where text ended: models begin a new block for each passage that they cite. */
  private place(block: Block, view: BlockView): void {
    if (block.kind !== "text") {
      this.element.append(view.element);
      return;
    }
    let prose = this.element.lastElementChild;
    if (!prose?.classList.contains("prose")) {
      prose = h("div", { className: "prose" });
      this.element.append(prose);
    }
    prose.append(view.element);
  }

  private cite(citation: Citation): number {
    const { title, passage, place } = sourceText(citation);
    this.sources.append(
      h(
        "li",
        {},
        h("cite", {}, title),
        place !== "" && h("span", { className: "note" }, ` ${place}`),
        passage !== "" && h("blockquote", {}, passage),
      ),
    );
    return this.sources.childElementCount;
  }

  /** Sources go below everything else. */
  end(): void {
    this.flush();
    if (this.sources.childElementCount > 0) {
      this.element.append(this.sources);
    }
  }
}
