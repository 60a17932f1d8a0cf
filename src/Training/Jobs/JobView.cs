using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;
using TorchBridge.Scale.Grains;

namespace TorchBridge.Training.Jobs;

/// <summary>What people see of a job while it runs.</summary>
internal abstract class JobView
{
    /// <summary>How far it is now; called again and again.</summary>
    public abstract void Show(JobProgress progress);

    /// <summary>Something that happened as it should.</summary>
    public abstract void Say(string line);

    /// <summary>Something that went wrong: an attempt that failed, a coordinator that is away.</summary>
    public abstract void Trouble(string line);
}

/// <summary>A line whenever something has been done; for logs.</summary>
/// <param name="console">Where they go; trouble goes to standard error.</param>
/// <param name="finished">Hears of each such line; null for nobody.</param>
internal sealed class JobLines(IAnsiConsole console, Action? finished) : JobView
{
    private int shown = -1;

    /// <inheritdoc/>
    public override void Show(JobProgress progress)
    {
        if (progress.Done + progress.SetAside == shown)
            return;
        shown = progress.Done + progress.SetAside;
        console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{progress.Done, 6:N0} of {progress.Count:N0} done, {progress.Leased:N0} at work"
                    + $"{(progress.SetAside > 0 ? $", {progress.SetAside:N0} set aside" : "")}"
            )
        );
        finished?.Invoke();
    }

    /// <inheritdoc/>
    public override void Say(string line) => console.WriteLine(line);

    /// <inheritdoc/>
    public override void Trouble(string line) => Console.Error.WriteLine(line);
}

/// <summary>A table that changes in place, for a terminal: how many items are in which state, how fast it goes, who is at
/// what, and what happened last.</summary>
internal sealed class LiveJobView : JobView
{
    private const int ShownAtWork = 16;
    private const int ShownLines = 8;
    private readonly Queue<string> last = new();
    private readonly TimeProvider clock;
    private readonly long started;
    private Action<IRenderable> update = _ => { };
    private JobProgress now = new();
    private int doneBefore = -1;

    /// <summary>Nothing is known yet.</summary>
    /// <param name="clock">Tells how long it has been going on.</param>
    public LiveJobView(TimeProvider clock) => (this.clock, started) = (clock, clock.GetTimestamp());

    /// <summary>Shows a job from its beginning to its end.</summary>
    /// <param name="console">A terminal.</param>
    /// <param name="work">The job.</param>
    public static async Task<JobProgress> Watch(IAnsiConsole console, Func<JobView, Task<JobProgress>> work)
    {
        var view = new LiveJobView(TimeProvider.System);
        return await console
            .Live(view.Table())
            .StartAsync(async context =>
            {
                view.update = table =>
                {
                    context.UpdateTarget(table);
                    context.Refresh();
                };
                return await work(view).ConfigureAwait(false);
            })
            .ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public override void Show(JobProgress progress)
    {
        lock (last)
        {
            now = progress;
            if (doneBefore < 0)
                doneBefore = progress.Done;
            update(Table());
        }
    }

    /// <inheritdoc/>
    public override void Say(string line)
    {
        lock (last)
        {
            last.Enqueue(line.ReplaceLineEndings(" "));
            if (last.Count > ShownLines)
                last.Dequeue();
            update(Table());
        }
    }

    /// <inheritdoc/>
    public override void Trouble(string line) => Say(line);

    /// <summary>The table as it is now.</summary>
    public IRenderable Table()
    {
        var table = new Table().AddColumns(
            "done",
            "at work",
            "waiting",
            "set aside",
            "failed attempts",
            "speed",
            "left"
        );
        var waiting = now.Count - now.Done - now.Leased - now.SetAside;
        var (speed, left) = Pace();
        table.AddRow([
            Cell($"{now.Done:N0} of {now.Count:N0}"),
            Cell($"{now.Leased:N0}"),
            Cell($"{waiting:N0}{(now.Held > 0 ? $", {now.Held:N0} held back" : "")}"),
            Cell($"{now.SetAside:N0}"),
            Cell($"{now.FailedAttempts:N0}"),
            speed,
            left,
        ]);
        var parts = new List<IRenderable> { table };
        if (now.AtWork.Length > 0)
        {
            var workers = new Table().AddColumns("item", "attempt", "worker");
            foreach (var item in now.AtWork.Take(ShownAtWork))
                workers.AddRow(Cell($"{item.Index}"), Cell($"{item.Epoch}"), Markup.Escape(item.Owner));
            if (now.Leased > ShownAtWork)
                workers.AddRow("…", "", Cell($"{now.Leased - ShownAtWork:N0} more"));
            parts.Add(workers);
        }

        parts.AddRange(last.Select(line => new Text(line)));
        return new Rows(parts);
    }

    /// <summary>How fast it goes, and how long it will take: only what has been done since the beginning counts.</summary>
    private (string Speed, string Left) Pace()
    {
        var passed = clock.GetElapsedTime(started);
        var done = now.Done - doneBefore;
        if (doneBefore < 0 || done <= 0 || passed <= TimeSpan.Zero)
            return ("", "");
        var perMinute = done / passed.TotalMinutes;
        var open = now.Count - now.Done - now.SetAside;
        var left = TimeSpan.FromMinutes(Math.Min(open / perMinute, TimeSpan.FromDays(9999).TotalMinutes));
        return (Cell($"{perMinute:N1} a minute"), left.ToString("d'd 'hh':'mm':'ss", CultureInfo.InvariantCulture));
    }

    private static string Cell(FormattableString text) => FormattableString.Invariant(text);
}
