using Microsoft.Extensions.Time.Testing;
using Spectre.Console;
using Spectre.Console.Rendering;
using TorchBridge.Scale.Grains;
using TorchBridge.Training.Jobs;

namespace TorchBridge.Training.Tests.Jobs;

public class JobViewTests
{
    [Fact]
    public void The_table_shows_states_pace_who_is_at_what_and_what_happened_last()
    {
        var clock = new FakeTimeProvider();
        var view = new LiveJobView(clock);
        Assert.Contains("0 of 0", Text(view.Table()), StringComparison.Ordinal); // before anything is known
        view.Show(new JobProgress { Count = 2000, Done = 1000 });
        clock.Advance(TimeSpan.FromMinutes(2));
        view.Show(
            new JobProgress
            {
                Count = 2000,
                Done = 1040,
                Leased = 20,
                SetAside = 3,
                Held = 100,
                FailedAttempts = 9,
                AtWork =
                [
                    .. Enumerable
                        .Range(0, 20)
                        .Select(index => new ItemAtWork
                        {
                            Index = 1040 + index,
                            Epoch = 2,
                            Owner = "[host]:77",
                        }),
                ],
            }
        );
        for (var line = 0; line < 10; line++)
            view.Say($"line {line}");
        var text = Text(view.Table());
        Assert.Contains("1,040 of 2,000", text, StringComparison.Ordinal);
        Assert.Contains("937, 100 held back", text, StringComparison.Ordinal);
        // 40 in two minutes, and 957 are left: 47 min 51 s.
        Assert.Contains("20.0 per minute", text, StringComparison.Ordinal);
        Assert.Contains("0d 00:47:51", text, StringComparison.Ordinal);
        Assert.Contains("[host]:77", text, StringComparison.Ordinal);
        Assert.Contains("4 more", text, StringComparison.Ordinal);
        Assert.DoesNotContain("line 1\n", text, StringComparison.Ordinal);
        Assert.Contains("line 2", text, StringComparison.Ordinal);
        Assert.Contains("line 9", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_log_has_a_line_whenever_something_has_been_done_and_none_between()
    {
        using var text = new StringWriter();
        var heard = 0;
        var lines = new JobLines(Console(text), () => heard++);
        foreach (var (done, aside) in ((int, int)[])[(0, 0), (0, 0), (1, 0), (1, 1), (1, 1)])
            lines.Show(
                new JobProgress
                {
                    Count = 5,
                    Done = done,
                    SetAside = aside,
                }
            );
        Assert.Equal(3, heard);
        Assert.Equal(3, text.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.Contains("1 of 5 done, 0 at work, 1 set aside", text.ToString(), StringComparison.Ordinal);
    }

    private static string Text(IRenderable table)
    {
        using var text = new StringWriter();
        Console(text).Write(table);
        return text.ToString();
    }

    private static IAnsiConsole Console(StringWriter text)
    {
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.No,
                Interactive = InteractionSupport.No,
                Out = new AnsiConsoleOutput(text),
            }
        );
        console.Profile.Width = 140;
        return console;
    }
}
