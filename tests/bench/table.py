"""Tables of plain text: numbers to the right, words to the left."""


def show(title, header, rows):
    print(f"\n{title}")
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    for n, row in enumerate(cells):
        print("  " + "  ".join(align(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths))).rstrip())
        if n == 0:
            print("  " + "  ".join("-" * width for width in widths))


def align(cell, width, column):
    last_word = not cell[:1].isdigit()
    return cell.ljust(width) if column == 0 or last_word else cell.rjust(width)


def verdict(goal, met):
    return f"{goal}: {'met' if met else 'NOT MET'}"
